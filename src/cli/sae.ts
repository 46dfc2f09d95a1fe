import type { Command } from 'commander';
import { registerEval } from './saeEval.js';
import { registerFeatures } from './saeFeatures.js';
import { registerImport } from './saeImport.js';
import { registerPlan } from './saePlan.js';
import { registerTrain } from './saeTrain.js';

/** `fact sae`: features, training, evaluation and import of sparse autoencoders. */
export function register(program: Command): void {
  const sae = program.command('sae').description('sparse autoencoders: features, train, eval, import, plan');
  registerFeatures(sae);
  registerTrain(sae);
  registerEval(sae);
  registerImport(sae);
  registerPlan(sae);
}
