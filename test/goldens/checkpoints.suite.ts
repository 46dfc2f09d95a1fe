import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { byteLengthOf } from '../../src/convert/dtypes.js';
import { type Checkpoint, parseCheckpoint } from '../../src/convert/readCheckpoint.js';
import { FactError } from '../../src/core/errors.js';
import { sha256 } from '../../src/core/hash.js';
import { treeInGoldenForm } from '../convert/goldenTree.js';
import { exact, type GoldenCheck, type GoldenSuite } from './checks.js';

const PART = 'fact/checkpoints';
/** Every file is read or refused within 2 s, */
const TIME_LIMIT_MS = 2000;
/** and within 256 MB. */
const MEMORY_LIMIT_MB = 256;

interface ExpectedFile {
  readonly accept: readonly string[];
  readonly tensors: unknown;
  readonly metadata?: unknown;
}

/** Own entries of parsed JSON: names such as `__proto__` stay names. */
function entriesOf(value: unknown): [string, { dtype: string; shape: number[]; sha256: string }][] {
  return Object.entries(value as object);
}

/** The outcome of reading a file in the words of `expected.json`: a class of error, or the checkpoint. */
export function outcomeOf(path: string): {
  outcome: string;
  checkpoint: Checkpoint | null;
  milliseconds: number;
} {
  const bytes = new Uint8Array(readFileSync(path));
  const start = process.cpuUsage();
  /** Processor time: what else the machine does is not measured. */
  const milliseconds = (): number => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
  try {
    const checkpoint = parseCheckpoint(bytes, path);
    // Reading a file reads its headers; a damaged storage shows when its bytes are asked for.
    for (const tensor of checkpoint.tensors)
      if (tensor.bytes.length !== byteLengthOf(tensor)) throw new Error(`${tensor.name}: wrong length`);
    const outcome = checkpoint.skipped.length > 0 ? 'skip' : 'ok';
    return { outcome, checkpoint, milliseconds: milliseconds() };
  } catch (error) {
    if (!(error instanceof FactError) || !error.code.startsWith('E_CKPT_')) throw error;
    return {
      outcome: error.code.slice('E_CKPT_'.length).toLowerCase(),
      checkpoint: null,
      milliseconds: milliseconds(),
    };
  }
}

function checkFile(folder: string, name: string, expected: ExpectedFile): GoldenCheck[] {
  const { outcome, checkpoint, milliseconds } = outcomeOf(join(folder, name));
  const checks = [
    exact(`outcome ${outcome}, accepted: ${expected.accept.join(' ')}`, expected.accept.includes(outcome)),
    { tensor: 'milliseconds', error: milliseconds, tolerance: TIME_LIMIT_MS },
  ];
  if (checkpoint === null) return checks;
  const wanted = entriesOf(expected.tensors);
  checks.push(
    exact(
      `${wanted.length} tensors, found ${checkpoint.tensors.length}`,
      wanted.length === checkpoint.tensors.length,
    ),
  );
  wanted.forEach(([tensorName, facts], i) => {
    const found = checkpoint.tensors.find((t) => t.name === tensorName);
    const shown = found === undefined ? 'nothing' : `${found.dtype} [${found.shape}]`;
    const holds =
      found !== undefined &&
      found.dtype === facts.dtype &&
      String(found.shape) === String(facts.shape) &&
      sha256(found.bytes) === facts.sha256;
    checks.push(exact(`${i} ${tensorName}: ${facts.dtype} [${facts.shape}], found ${shown}`, holds));
  });
  if (expected.metadata !== undefined)
    checks.push(
      exact(
        'metadata',
        JSON.stringify(Object.entries(expected.metadata as object)) ===
          JSON.stringify([...checkpoint.metadata]),
      ),
    );
  const tree = (expected as { tree?: unknown }).tree;
  if (tree !== undefined && outcome === 'ok')
    checks.push(exact('tree', JSON.stringify(tree) === JSON.stringify(treeInGoldenForm(checkpoint))));
  return checks;
}

function filesOf<T>(folder: string): [string, T][] {
  return Object.entries<T>(JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')).files);
}

/** Every well-formed checkpoint gives its names, dtypes, shapes, bytes and tree, or the class of refusal listed. */
export const checkpointsSuite: GoldenSuite = {
  name: 'checkpoints',
  part: PART,
  cases: (folder) =>
    filesOf<ExpectedFile>(join(folder, PART)).map(([name, expected]) => ({
      name,
      run: async () => checkFile(join(folder, PART), name, expected),
    })),
};

/** Every hostile or broken file is refused with a listed class, in time, and leaves no trace. */
export const maliciousSuite: GoldenSuite = {
  name: 'malicious checkpoints',
  part: `${PART}/malicious`,
  cases: (folder) =>
    filesOf<{ error: readonly string[] }>(join(folder, PART, 'malicious')).map(([name, expected]) => ({
      name,
      run: async () => {
        const before = readdirSync('.').join();
        const peak = process.resourceUsage().maxRSS;
        const { outcome, milliseconds } = outcomeOf(join(folder, PART, 'malicious', name));
        return [
          exact(
            `outcome ${outcome}, accepted: ${expected.error.join(' ')}`,
            expected.error.includes(outcome),
          ),
          { tensor: 'milliseconds', error: milliseconds, tolerance: TIME_LIMIT_MS },
          {
            tensor: 'MB more at the peak',
            error: (process.resourceUsage().maxRSS - peak) / 1024,
            tolerance: MEMORY_LIMIT_MB,
          },
          exact('PAYLOAD_EXECUTED exists', !existsSync('PAYLOAD_EXECUTED')),
          exact('files of the current folder', readdirSync('.').join() === before),
        ];
      },
    })),
};
