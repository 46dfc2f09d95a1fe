/** The verbs `train` and `eval` alone, for tests that start them as a process. */
import { Command } from 'commander';
import { register as registerEval } from '../../src/cli/eval.js';
import { register as registerTrain } from '../../src/cli/train.js';

const program = new Command('fact');
registerTrain(program);
registerEval(program);
await program.parseAsync(process.argv);
