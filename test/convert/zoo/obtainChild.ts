/** Obtains a file in a process of its own: `obtainChild.ts FILE URL HASH-PREFIX`; SIGINT ends it as Ctrl-C does. */
import { obtain } from '../../../src/convert/zoo/obtain.js';

const [file, url, hashPrefix] = process.argv.slice(2);
const controller = new AbortController();
process.on('SIGINT', () => controller.abort(new Error('stopped')));
try {
  const got = await obtain(
    { file, url, hashPrefix, tensorBytes: 2 ** 24 },
    {
      signal: controller.signal,
      progress: (done) => process.stderr.write(`${done}\n`),
    },
  );
  process.stdout.write(JSON.stringify(got));
} catch (error) {
  process.stdout.write(String(error));
  process.exitCode = 130;
}
