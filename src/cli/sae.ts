import type { Command } from 'commander';
import { registerEval } from './sae/eval.js';
import { registerFeatures } from './sae/features.js';
import { registerImport } from './sae/import.js';
import { registerPlan } from './sae/plan.js';
import { registerTrain } from './sae/train.js';

/** `fact sae`: features, training, evaluation and import of sparse autoencoders. */
export function register(program: Command): void {
  const sae = program.command('sae').description('sparse autoencoders: features, train, eval, import, plan');
  registerFeatures(sae);
  registerTrain(sae);
  registerEval(sae);
  registerImport(sae);
  registerPlan(sae);
}
