/** An exported file at work in onnxruntime-node, by its public interface only: for checking files, and for Node programs. */
import { readFileSync } from 'node:fs';
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-common';
import { FactError, messageOf, systemCodeOf } from '../../core/errors.js';
import { GROUPS } from './graph.js';
import { readSealed } from './seal.js';

/** What runs a file: the part of onnxruntime-node (or another build) that is used here. */
export interface Runtime {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
  readonly env?: { readonly versions?: { readonly common?: string; readonly node?: string } };
}

/** A flag of the file, such as `want_class_map`. */
export type Wish = keyof typeof GROUPS;

/** Numbers of an output, row by row. */
export interface OutputArray {
  readonly dims: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

export interface ExportedRequest {
  /** One row of weights for all images, or one for each: [rows][classes]. Default: the class that is answered. */
  readonly classWeights?: readonly ArrayLike<number>[];
  /** Concepts whose maps and traces are wanted: one row for all images, or one for each. Default: none. */
  readonly concepts?: readonly (readonly number[])[];
  /** What is computed. Default: nothing beyond the prediction and the activations. */
  readonly want?: readonly Wish[];
}

export interface OpenOptions {
  readonly threads?: number;
  /** Default: onnxruntime-node. */
  readonly runtime?: () => Promise<Runtime>;
}

const importNode = async (): Promise<Runtime> => (await import('onnxruntime-node')) as unknown as Runtime;

function inputError(path: string, message: string, remedy: string): FactError {
  return new FactError({ code: 'E_EXPORTED_INPUT', message: `${path}: ${message}`, remedy });
}

async function loadRuntime(load: () => Promise<Runtime>): Promise<Runtime> {
  try {
    return await load();
  } catch (error) {
    throw new FactError({
      code: 'E_EXPORTED_RUNTIME',
      message: `onnxruntime-node is not usable: ${messageOf(error).split('\n')[0]}`,
      remedy:
        'Run `npm install onnxruntime-node`; or run the file with the onnxruntime of Python or of a browser.',
      cause: error,
    });
  }
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new FactError({
      code: 'E_EXPORTED_MISSING',
      message: `cannot read ${path}: ${systemCodeOf(error) === 'ENOENT' ? 'no such file' : messageOf(error)}`,
      remedy: 'Write it with `fact export --out FILE`, or check the path.',
      cause: error,
    });
  }
}

/** Rows as one array. */
function joinRows<A extends Float32Array | Int32Array>(rows: readonly ArrayLike<number>[], into: A): A {
  rows.forEach((row, i) => {
    into.set(row, i * row.length);
  });
  return into;
}

/** An opened file. `close` frees the session. */
export class ExportedFile {
  readonly classes: number;
  /** Height and width of the images. */
  readonly size: readonly [height: number, width: number];
  /** Concepts of the autoencoder; 0 without one. */
  readonly concepts: number;
  /** Images of a run; null: any number. */
  readonly batch: number | null;
  /** Whether photographs go in as bytes of any size. */
  readonly takesPhotos: boolean;

  private constructor(
    readonly path: string,
    readonly metadata: Readonly<Record<string, string>>,
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
  ) {
    const input = JSON.parse(metadata.input) as { height: number; width: number; batch: number | 'any' };
    const saes = JSON.parse(metadata.autoencoders) as { role: string; concepts: number }[];
    this.classes = Number(metadata.class_count);
    this.size = [input.height, input.width];
    this.batch = input.batch === 'any' ? null : input.batch;
    this.concepts = saes.find(({ role }) => role === 'concepts')?.concepts ?? 0;
    this.takesPhotos = session.inputNames.includes('photo');
  }

  /**
   * Opens a file that `exportModel` wrote. Throws FactError E_EXPORTED_MISSING, E_EXPORTED_DAMAGED, E_EXPORTED_FOREIGN,
   * E_EXPORTED_CHANGED, and E_EXPORTED_RUNTIME where onnxruntime is missing or refuses the file.
   */
  static async open(path: string, options: OpenOptions = {}): Promise<ExportedFile> {
    const bytes = readBytes(path);
    const metadata = readSealed(path, bytes);
    const runtime = await loadRuntime(options.runtime ?? importNode);
    try {
      const session = await runtime.InferenceSession.create(bytes, {
        logSeverityLevel: 3,
        ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
      });
      return new ExportedFile(path, metadata, runtime, session);
    } catch (error) {
      const { node, common } = runtime.env?.versions ?? {};
      throw new FactError({
        code: 'E_EXPORTED_RUNTIME',
        message: `${path}: onnxruntime ${node ?? common ?? 'of unknown version'} refuses it: ${messageOf(error).split('\n')[0]}`,
        remedy: 'The file needs opset 17: onnxruntime 1.12 or later; update it.',
        cause: error,
      });
    }
  }

  get inputNames(): readonly string[] {
    return this.session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.session.outputNames;
  }

  /**
   * Runs the file on images [N,3,H,W] in [0,1]. Outputs that were not asked for have 0 rows.
   * Throws FactError E_EXPORTED_INPUT (sizes, numbers that are not finite, concepts out of range) and E_EXPORTED_RUN.
   */
  async run(images: Float32Array, request: ExportedRequest = {}): Promise<Record<string, OutputArray>> {
    const [height, width] = this.size;
    const count = images.length / (3 * height * width);
    if (this.takesPhotos) throw inputError(this.path, 'takes photographs as bytes', 'Use `runPhoto`.');
    if (!Number.isInteger(count) || count < 1) {
      throw inputError(
        this.path,
        `${images.length} numbers are no images of 3 x ${height} x ${width}`,
        'Scale and crop the images to this size; the order is [N, 3, H, W].',
      );
    }
    const bad = images.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) {
      throw inputError(
        this.path,
        `image ${Math.floor(bad / (3 * height * width))} holds ${images[bad]} at element ${bad % (3 * height * width)}`,
        'Every number of an image lies between 0 and 1.',
      );
    }
    const tensor = new this.runtime.Tensor('float32', images, [count, 3, height, width]);
    return this.runOn({ image: tensor }, count, request);
  }

  /** Runs a file with a photo front on one photograph, RGB bytes [height, width, 3]. Errors as `run`. */
  async runPhoto(
    photo: { readonly data: Uint8Array; readonly height: number; readonly width: number },
    request: ExportedRequest = {},
  ): Promise<Record<string, OutputArray>> {
    const { data, height, width } = photo;
    if (!this.takesPhotos) throw inputError(this.path, 'takes prepared images', 'Use `run`.');
    if (data.length !== height * width * 3 || data.length === 0) {
      throw inputError(
        this.path,
        `${data.length} bytes are no photograph of ${height} x ${width} x 3`,
        'The order is [height, width, 3]: red, green, blue.',
      );
    }
    return this.runOn({ photo: new this.runtime.Tensor('uint8', data, [1, height, width, 3]) }, 1, request);
  }

  private async runOn(
    image: Record<string, Tensor>,
    count: number,
    request: ExportedRequest,
  ): Promise<Record<string, OutputArray>> {
    if (this.batch !== null && count !== this.batch) {
      throw inputError(
        this.path,
        `${count} images, the file takes ${this.batch}`,
        'Export it without --batch for any number.',
      );
    }
    const feeds: Record<string, Tensor> = { ...image, ...this.requestTensors(count, request) };
    try {
      const results = await this.session.run(feeds);
      return Object.fromEntries(
        Object.entries(results).map(([name, { dims, data }]) => [
          name,
          { dims, data: data as OutputArray['data'] },
        ]),
      );
    } catch (error) {
      throw new FactError({
        code: 'E_EXPORTED_RUN',
        message: `${this.path}: onnxruntime failed: ${messageOf(error).split('\n')[0]}`,
        remedy: 'With too little memory give fewer images at once; else please report it.',
        cause: error,
      });
    }
  }

  private requestTensors(count: number, request: ExportedRequest): Record<string, Tensor> {
    const { Tensor: make } = this.runtime;
    const has = (name: string): boolean => this.inputNames.includes(name);
    const tensors: Record<string, Tensor> = {};
    if (has('class_weights')) {
      const rows = request.classWeights ?? [new Float32Array(this.classes)];
      this.checkRows('class weights', rows, count, this.classes);
      const values = joinRows(rows, new Float32Array(rows.length * this.classes));
      if (values.some((v) => !Number.isFinite(v)))
        throw inputError(this.path, 'a class weight is not a finite number', 'Give finite weights.');
      tensors.class_weights = new make('float32', values, [rows.length, this.classes]);
    }
    if (has('concepts')) {
      const rows = request.concepts ?? [[]];
      this.checkRows('concepts', rows, count, rows[0]?.length ?? 0);
      const wrong = rows.flat().find((c) => !Number.isInteger(c) || c >= this.concepts || c < -this.concepts);
      if (wrong !== undefined) {
        throw inputError(
          this.path,
          `there is no concept ${wrong}: the file has ${this.concepts}`,
          `Give numbers from 0 to ${this.concepts - 1}, or -1 for the largest contribution, -2 for the next.`,
        );
      }
      const each = rows[0]?.length ?? 0;
      tensors.concepts = new make('int32', joinRows(rows, new Int32Array(rows.length * each)), [
        rows.length,
        each,
      ]);
    }
    for (const wish of Object.keys(GROUPS) as Wish[]) {
      const wanted = request.want?.includes(wish) ?? false;
      if (has(wish)) tensors[wish] = new make('bool', Uint8Array.of(wanted ? 1 : 0), []);
      else if (wanted) {
        throw inputError(
          this.path,
          `has nothing for ${wish}`,
          `It can be asked for ${this.inputNames.filter((name) => name.startsWith('want_')).join(', ') || 'nothing'}.`,
        );
      }
    }
    return tensors;
  }

  private checkRows(what: string, rows: readonly ArrayLike<number>[], count: number, length: number): void {
    const isRight = rows.length === 1 || rows.length === count;
    if (isRight && rows.every((row) => row.length === length)) return;
    throw inputError(
      this.path,
      `${what} of ${rows.length} x ${rows.map((row) => row.length).join(', ')}, expected 1 or ${count} rows of ${length}`,
      'Give one row for all images, or one for each.',
    );
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}
