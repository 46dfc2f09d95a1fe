import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { countOf, dtypeFacts } from '../../src/convert/dtypes.js';
import { parseCheckpoint } from '../../src/convert/readCheckpoint.js';
import { FactError } from '../../src/core/errors.js';
import { Random } from '../../src/core/random.js';
import { goldensFolder } from '../goldens/format.js';
import { mutate } from './mutate.js';

/** Seeds: every golden checkpoint, well-formed, hostile or broken, and the real networks. */
export function fuzzSeeds(): { name: string; bytes: Uint8Array }[] {
  const goldens = goldensFolder();
  if (goldens === null) return [];
  const folders = ['fact/checkpoints', 'fact/checkpoints/malicious', 'bcos'].map((part) =>
    join(goldens, part),
  );
  return folders.filter(existsSync).flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.(pth|pt|ckpt|safetensors)$/.test(name))
      .map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(folder, name))) })),
  );
}

export interface FuzzResult {
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly worstMs: number;
  readonly worstName: string;
  /** Growth of the process's peak resident memory while fuzzing, MB. */
  readonly peakGrowthMb: number;
}

/** What a reader of a mutant must hold: whole tensors, or a typed error. Throws a description of anything else. */
function checkMutant(bytes: Uint8Array, name: string): string {
  try {
    for (const tensor of parseCheckpoint(bytes, name).tensors) {
      const size = (countOf(tensor.shape) * dtypeFacts(tensor.dtype).bits) / 8;
      if (tensor.bytes.length !== size)
        throw new Error(`${tensor.name}: ${tensor.bytes.length} bytes for [${tensor.shape}]`);
    }
    return 'accepted';
  } catch (error) {
    if (error instanceof FactError && error.code.startsWith('E_CKPT_') && error.remedy.length > 0)
      return error.code;
    throw error;
  }
}

/** Reads `perSeed` mutants of every seed; `seed` makes them reproducible. */
export function fuzz(perSeed: number, seed: number): FuzzResult {
  const refused = new Map<string, number>();
  let inputs = 0;
  let worstMs = 0;
  let worstName = '';
  const before = process.resourceUsage().maxRSS;
  fuzzSeeds().forEach(({ name, bytes }, fileIndex) => {
    // Large files are mutated less often: a mutant costs a copy.
    const count = Math.ceil(bytes.length > 500_000 ? perSeed / 20 : perSeed);
    for (let i = 0; i < count; i++) {
      const mutant = mutate(bytes, name, new Random(seed, fileIndex, i));
      const start = process.cpuUsage();
      let outcome: string;
      try {
        outcome = checkMutant(mutant, name);
      } catch (error) {
        throw new Error(`${name}, mutant ${i} of seed ${seed}: ${String(error)}`, { cause: error });
      }
      const { user, system } = process.cpuUsage(start);
      const ms = (user + system) / 1000;
      if (ms > worstMs) [worstMs, worstName] = [ms, `${name}, mutant ${i}`];
      refused.set(outcome, (refused.get(outcome) ?? 0) + 1);
      inputs++;
    }
  });
  const accepted = refused.get('accepted') ?? 0;
  refused.delete('accepted');
  const peakGrowthMb = (process.resourceUsage().maxRSS - before) / 1024;
  return { inputs, accepted, refused: Object.fromEntries(refused), worstMs, worstName, peakGrowthMb };
}
