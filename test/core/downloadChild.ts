/** Downloads in a process of its own, which trusts NODE_EXTRA_CA_CERTS: `downloadChild.ts URL TARGET SHA256 [downgrade]`. */
import { download } from '../../src/core/download.js';
import { FactError } from '../../src/core/errors.js';

const [url, target, sha256, downgrade] = process.argv.slice(2);
try {
  const options = { url, target, sha256, pauseMs: 1, attempts: 2, allowDowngrade: downgrade === 'downgrade' };
  process.stdout.write(JSON.stringify(await download(options)));
} catch (error) {
  process.stdout.write(
    error instanceof FactError ? `${error.code} ${error.message} ${error.remedy}` : String(error),
  );
}
