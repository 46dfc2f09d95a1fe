import type { GoldenCheck } from './checks.js';
import { folderSuite } from './folderSuite.js';
import { readFactCase } from './format.js';
import { runBudget, runInclusion, runSampling } from './saeSampling.js';
import { runAux, runSchedule } from './saeStep.js';
import { runTrajectory } from './saeTrajectory.js';

async function runCase(path: string, name: string): Promise<readonly GoldenCheck[] | 'not yet'> {
  const golden = readFactCase(path);
  if (name === 'lr_schedule') return runSchedule(golden);
  if (name.startsWith('aux_')) return runAux(golden);
  if (name.startsWith('trajectory_'))
    return [...(await runTrajectory(golden, false)), ...(await runTrajectory(golden, true))];
  if (name === 'sampling_budget') return runBudget(golden);
  if (name === 'sampling_inclusion') return runInclusion(golden);
  if (name.startsWith('sampling_')) return runSampling(golden);
  return 'not yet';
}

/** The trainer of autoencoders: schedule, loss, whole runs, choice of features. */
export const saeTrainingSuite = folderSuite('fact/train', runCase);
