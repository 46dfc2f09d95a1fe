import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { byteLengthOf, type NamedTensor } from '../convert/dtypes.js';
import { readCheckpoint } from '../convert/readCheckpoint.js';
import { recognise, recogniseUses } from '../convert/recognise/recognise.js';
import { isFolder, isModelFolder } from '../convert/targets.js';
import { modelJsonPath, readTfjs } from '../convert/tfjs/readTfjs.js';
import { FactError } from '../core/errors.js';
import { MODEL_FILE } from '../models/modelFile.js';
import { runVerb, verb } from './context.js';

/** What `fact inspect --json` prints. */
interface Inspection {
  readonly file: string;
  readonly format: string;
  readonly bytes: number | null;
  readonly architecture: string | null;
  /** Other architectures with the same names and shapes. */
  readonly alike: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly skipped: readonly { readonly name: string; readonly className: string }[];
  readonly tensors: readonly { name: string; dtype: string; shape: readonly number[]; bytes: number }[];
}

/** Text of a file made harmless for a terminal: control characters escaped. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped.
  return /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/.test(text)
    ? JSON.stringify(text).replace(
        /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
    : text;
}

/** Names, types and sizes; the numbers are not read. */
function rowsOf(tensors: readonly NamedTensor[]): Inspection['tensors'] {
  return tensors.map((tensor) => {
    const { name, dtype, shape } = tensor;
    return { name, dtype, shape, bytes: byteLengthOf(tensor) };
  });
}

async function inspectFile(path: string): Promise<Inspection> {
  const json = modelJsonPath(path, isFolder(path));
  const checkpoint = json === null ? await readCheckpoint(path) : await readTfjs(json);
  const known = recognise(checkpoint.tensors) ?? recogniseUses(checkpoint.uses ?? []);
  return {
    file: path,
    format: checkpoint.format,
    bytes: checkpoint.fileBytes,
    architecture: known?.arch ?? null,
    alike: known?.alike ?? [],
    metadata: Object.fromEntries(checkpoint.metadata),
    skipped: checkpoint.skipped,
    tensors: rowsOf(checkpoint.tensors),
  };
}

async function inspectFolder(path: string): Promise<Inspection> {
  if (!isModelFolder(path))
    throw new FactError({
      code: 'E_READ',
      message: `${path} is a folder without a network (no fact.json)`,
      remedy: 'Name a checkpoint file or the folder of a saved network.',
    });
  // Only here is a network built: the libraries that it needs are not loaded for files.
  const [{ startEngine }, { loadModel }, { tensorsOfModel }] = await Promise.all([
    import('../engine/start.js'),
    import('../models/loadModel.js'),
    import('../convert/modelState.js'),
  ]);
  await startEngine({ engine: 'cpu' });
  const model = await loadModel(path);
  try {
    const { spec } = model;
    const metadata: Record<string, string> = {
      inputSize: spec.inputSize.join(' x '),
      options: JSON.stringify(spec.options),
      taps: spec.taps.join(', '),
    };
    if (spec.source !== null) metadata.source = spec.source;
    if (spec.weightsHash !== null) metadata.weightsHash = spec.weightsHash;
    const tensors = rowsOf(tensorsOfModel(model));
    return {
      file: path,
      format: 'tfjs',
      bytes: null,
      architecture: spec.arch,
      alike: [],
      metadata,
      skipped: [],
      tensors,
    };
  } finally {
    model.dispose();
  }
}

const number = new Intl.NumberFormat('en-US');

/** The table that a person reads. */
function tableOf(o: Inspection): string {
  const counts = new Map<string, number>();
  let values = 0;
  for (const { dtype, shape } of o.tensors) {
    counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
    values += shape.reduce((product, size) => product * size, 1);
  }
  const types = [...counts].map(([dtype, count]) => `${count} ${dtype}`).join(', ');
  const lines = [
    `${o.file}: ${o.format}${o.bytes === null ? '' : `, ${number.format(o.bytes)} bytes`}`,
    `${number.format(o.tensors.length)} tensors${types === '' ? '' : ` (${types})`}, ${number.format(values)} values`,
  ];
  if (o.architecture !== null) {
    const also = o.alike.length > 0 ? `; ${o.alike.length} others have the same names and shapes` : '';
    lines.push(`architecture: ${o.architecture}${also}`);
  }
  for (const [key, value] of Object.entries(o.metadata)) lines.push(`${printable(key)}: ${printable(value)}`);
  for (const { name, className } of o.skipped) lines.push(`left out: ${printable(name)} (${className})`);
  const rows = o.tensors.map(({ name, dtype, shape, bytes }) => [
    printable(name === '' ? '(root)' : name),
    dtype,
    `[${shape.join(', ')}]`,
    number.format(bytes),
  ]);
  if (rows.length === 0) return lines.join('\n');
  const table = [['name', 'dtype', 'shape', 'bytes'], ...rows];
  const widths = [0, 1, 2, 3].map((column) =>
    table.reduce((width, row) => Math.max(width, row[column].length), 0),
  );
  const text = table.map(
    ([name, dtype, shape, bytes]) =>
      `${name.padEnd(widths[0])}  ${dtype.padEnd(widths[1])}  ${shape.padEnd(widths[2])}  ${bytes.padStart(widths[3])}`,
  );
  return [...lines, '', ...text].join('\n');
}

/** `fact inspect FILE`: format, tensors, metadata. Reads and computes nothing else. */
export function register(program: Command): void {
  verb(program, 'inspect', 'list the tensors of a checkpoint file or a saved network')
    .argument(
      '<file>',
      '.pth, .pt, .ckpt, .safetensors, .onnx, a tfjs model.json, or the folder of a network',
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      await runVerb(command, async ({ print }) => {
        const isOwn = isFolder(file) && (isModelFolder(file) || !existsSync(join(file, MODEL_FILE)));
        const inspection = isOwn ? await inspectFolder(file) : await inspectFile(file);
        print(tableOf(inspection), inspection);
        return 0;
      });
    });
}
