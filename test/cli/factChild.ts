/** The command line in a process of its own: the arguments are those of `fact`. */
import { main } from '../../src/cli/main.js';

await main(process.argv);
