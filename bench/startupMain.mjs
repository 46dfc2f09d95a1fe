// `fact` of a built package: startupMain.mjs DIST VERB ...

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [dist, ...words] = process.argv.slice(2);
const { main } = await import(pathToFileURL(join(dist, 'cli', 'main.js')));
await main([process.argv[0], 'fact', ...words]);
