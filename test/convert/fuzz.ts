import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { MemorySource } from '../../src/convert/byteSource.js';
import { CheckpointErrors } from '../../src/convert/checkpointError.js';
import { byteLengthOf } from '../../src/convert/dtypes.js';
import { type Checkpoint, parseCheckpoint } from '../../src/convert/readCheckpoint.js';
import { parseModelJson } from '../../src/convert/tfjs/modelJson.js';
import { manifestTensors, tfjsCheckpoint } from '../../src/convert/tfjs/readTfjs.js';
import { FactError } from '../../src/core/errors.js';
import { Random } from '../../src/core/random.js';
import { createSae, loadSae, saveSae } from '../../src/explain/sae.js';
import { createModel } from '../../src/models/createModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import { goldensFolder } from '../goldens/format.js';
import { mutate, mutateBytes } from './mutate.js';
import { mutateJson } from './mutateJson.js';
import { mutateOnnx } from './mutateOnnx.js';

/** Readers that are fuzzed, each with its own files. */
export const READERS = ['pytorch', 'safetensors', 'onnx', 'tfjs', 'network', 'sae'] as const;
export type Reader = (typeof READERS)[number];

/** One file to start from, and what is done with a mutant of it: the name of the outcome, or a thrown fault. */
interface Seed {
  readonly name: string;
  /** Large files are mutated less often: a mutant costs a copy. */
  readonly weight: number;
  readonly run: (random: Random) => string | Promise<string>;
}

const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));

/** Files of a folder that end in one of these. */
function filesIn(folder: string, endings: RegExp): { name: string; bytes: Uint8Array }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => endings.test(name))
    .map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(folder, name))) }));
}

/** Golden checkpoints, well-formed, hostile or broken, and the real networks. */
function goldenFiles(endings: RegExp): { name: string; bytes: Uint8Array }[] {
  const goldens = goldensFolder();
  if (goldens === null) return [];
  return ['fact/checkpoints', 'fact/checkpoints/malicious', 'bcos'].flatMap((part) =>
    filesIn(join(goldens, part), endings),
  );
}

/** What a reader of a mutant must hold: whole tensors. Throws a description of anything else. */
function checkTensors(checkpoint: Checkpoint): string {
  for (const tensor of checkpoint.tensors) {
    const found = tensor.bytes.length;
    if (found !== byteLengthOf(tensor))
      throw new Error(`${tensor.name}: ${found} bytes for [${tensor.shape}]`);
  }
  return 'accepted';
}

/** The code of a typed error of these kinds; anything else is thrown on: it is a fault of the reader. */
function outcome(error: unknown, codes: RegExp): string {
  if (error instanceof FactError && codes.test(error.code) && error.remedy.length > 0) return error.code;
  throw error;
}

function fileSeeds(
  files: readonly { name: string; bytes: Uint8Array }[],
  change: typeof mutate,
  folder: string | null = null,
): Seed[] {
  return files.map(({ name, bytes }) => ({
    name,
    weight: bytes.length > 500_000 ? 0.05 : bytes.length > 20_000 ? 0.2 : 1,
    run: (random) => {
      const mutant = change(bytes, name, random);
      try {
        return checkTensors(parseCheckpoint(mutant, name, folder));
      } catch (error) {
        return outcome(error, /^E_CKPT_/);
      }
    },
  }));
}

function onnxSeeds(): Seed[] {
  const change = (bytes: Uint8Array, _name: string, random: Random): Uint8Array =>
    random.next() < 0.3 ? mutateBytes(bytes, random) : mutateOnnx(bytes, random);
  return fileSeeds(filesIn(fixtures, /\.onnx$/), change, fixtures);
}

/** A network of tfjs with every kind of layer that is read, as model.json and its weights. */
async function tfjsFiles(): Promise<{ json: string; weights: Uint8Array }> {
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [8, 8, 3], filters: 4, kernelSize: 3, name: 'conv' }),
      tf.layers.batchNormalization({ name: 'norm' }),
      tf.layers.depthwiseConv2d({ kernelSize: 3, name: 'deep' }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 2, name: 'fc' }),
    ],
  });
  let found: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      found = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  model.dispose();
  const json = JSON.stringify({
    format: 'layers-model',
    modelTopology: found?.modelTopology,
    weightsManifest: [{ paths: ['a.bin'], weights: found?.weightSpecs }],
  });
  return { json, weights: new Uint8Array(found?.weightData as ArrayBuffer) };
}

async function tfjsSeeds(): Promise<Seed[]> {
  const { json, weights } = await tfjsFiles();
  const errors = new CheckpointErrors('model.json');
  const seed = (name: string, change: (random: Random) => { text: string; data: Uint8Array }): Seed => ({
    name,
    weight: 1,
    run: (random) => {
      const { text, data } = change(random);
      try {
        const model = parseModelJson(Buffer.from(text, 'latin1'), errors);
        const tensors = manifestTensors(model, () => new MemorySource(data), errors);
        return checkTensors(tfjsCheckpoint(model, tensors, data.length, errors));
      } catch (error) {
        return outcome(error, /^E_CKPT_/);
      }
    },
  });
  const graph = JSON.stringify({
    format: 'graph-model',
    modelTopology: {
      node: [
        { name: 'x', op: 'Placeholder' },
        { name: 'w', op: 'Const' },
        { name: 'y', op: 'Conv2D', input: ['x', 'w'] },
        { name: 'b', op: 'Const' },
        { name: 'z', op: 'BiasAdd', input: ['y', 'b'], attr: { T: { type: 1 } } },
      ],
    },
    weightsManifest: [
      {
        paths: ['a.bin'],
        weights: [
          { name: 'w', shape: [3, 3, 3, 4], dtype: 'float32' },
          { name: 'b', shape: [4], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.1, min: -1 } },
        ],
      },
    ],
  });
  return [
    seed('layers model.json', (random) => ({ text: mutateJson(json, random), data: weights })),
    seed('graph model.json', (random) => ({ text: mutateJson(graph, random), data: new Uint8Array(436) })),
    seed('weights', (random) => ({ text: json, data: mutateBytes(weights, random) })),
  ];
}

/** Mutants of single files of a folder; the other files stay as they are. */
function folderSeeds(folder: string, codes: RegExp, load: (folder: string) => Promise<void>): Seed[] {
  return filesIn(folder, /./).map(({ name, bytes }) => ({
    name,
    // Of plain numbers only the hash can be wrong.
    weight: name.endsWith('.bin') ? 0.1 : 1,
    run: async (random) => {
      const isText = name.endsWith('.json');
      const mutant = isText
        ? Buffer.from(mutateJson(Buffer.from(bytes).toString(), random), 'latin1')
        : mutate(bytes, name, random);
      writeFileSync(join(folder, name), mutant);
      try {
        await load(folder);
        return 'accepted';
      } catch (error) {
        return outcome(error, codes);
      } finally {
        writeFileSync(join(folder, name), bytes);
      }
    },
  }));
}

/** Where folders of mutants are written: memory, where the system has such a folder. */
const scratch = (): string => mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fact-fuzz-'));

async function seedsOf(reader: Reader, folder: string): Promise<Seed[]> {
  switch (reader) {
    case 'pytorch':
      return fileSeeds([...goldenFiles(/\.(pth|pt|ckpt)$/), ...filesIn(fixtures, /\.pth$/)], mutate);
    case 'safetensors':
      return fileSeeds(goldenFiles(/\.safetensors$/), mutate);
    case 'onnx':
      return onnxSeeds();
    case 'tfjs':
      return tfjsSeeds();
    case 'network': {
      const model = createModel('resnet', {
        numClasses: 2,
        width: 2,
        blocks: [1],
        stem: 'cifar',
        inputSize: 8,
      });
      await model.save(folder);
      model.dispose();
      return folderSeeds(folder, /^E_MODEL_/, async (path) => (await loadModel(path)).dispose());
    }
    case 'sae': {
      const sae = createSae({
        k: 2,
        tap: 'layer1',
        encoder: Float32Array.from({ length: 24 }, (_, i) => i / 24),
        decoder: Float32Array.from({ length: 24 }, (_, i) => i / 24),
        channels: 4,
        latents: 6,
      });
      await saveSae(folder, sae);
      sae.dispose();
      return folderSeeds(folder, /^E_(SAE|CKPT)_/, async (path) => {
        (await loadSae(path)).dispose();
      });
    }
  }
}

export interface FuzzResult {
  readonly reader: Reader;
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly worstMs: number;
  readonly worstName: string;
  /** Growth of the process's peak resident memory while fuzzing, MB, after the first mutants of each file. */
  readonly peakGrowthMb: number;
}

/**
 * Reads `inputs` mutants through one reader, the files in turn; `seed` makes them reproducible. Throws where a mutant is
 * neither read as whole tensors nor refused by a typed error.
 * @param tell called now and then with the number of mutants so far
 */
export async function fuzz(
  reader: Reader,
  inputs: number,
  seed: number,
  tell: (done: number) => void = () => {},
): Promise<FuzzResult> {
  const folder = join(scratch(), 'case');
  const seeds = await seedsOf(reader, folder);
  const refused = new Map<string, number>();
  let worstMs = 0;
  let worstName = '';
  let done = 0;
  let before = 0;
  try {
    for (let round = 0; done < inputs && seeds.length > 0; round++) {
      if (round === 20) before = process.resourceUsage().maxRSS;
      for (let index = 0; index < seeds.length && done < inputs; index++) {
        const { name, weight, run } = seeds[index];
        const random = new Random(seed, index, round);
        if (random.next() > weight) continue;
        const start = process.cpuUsage();
        let result: string;
        try {
          result = await run(random);
        } catch (error) {
          throw new Error(`${reader}: ${name}, mutant ${round} of seed ${seed}: ${String(error)}`, {
            cause: error,
          });
        }
        const { user, system } = process.cpuUsage(start);
        const ms = (user + system) / 1000;
        if (ms > worstMs) [worstMs, worstName] = [ms, `${name}, mutant ${round}`];
        refused.set(result, (refused.get(result) ?? 0) + 1);
        if (++done % 10_000 === 0) tell(done);
      }
    }
  } finally {
    rmSync(join(folder, '..'), { recursive: true, force: true });
  }
  const accepted = refused.get('accepted') ?? 0;
  refused.delete('accepted');
  const peakGrowthMb = before === 0 ? 0 : (process.resourceUsage().maxRSS - before) / 1024;
  return {
    reader,
    inputs: done,
    accepted,
    refused: Object.fromEntries(refused),
    worstMs,
    worstName,
    peakGrowthMb,
  };
}
