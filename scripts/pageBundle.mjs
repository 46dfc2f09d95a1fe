// The page's program (src/explain/browser/app.ts and all that it imports) as one file: node scripts/pageBundle.mjs OUT
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './install.mjs';

export function bundlePage(outfile) {
  // Not imported above: where this is loaded, the dependencies may not be installed yet.
  const { buildSync } = createRequire(import.meta.url)('esbuild');
  buildSync({
    absWorkingDir: root,
    entryPoints: [join('src', 'explain', 'browser', 'app.ts')],
    outfile,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) bundlePage(process.argv[2]);
