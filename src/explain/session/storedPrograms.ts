import type { DiskCache } from '../../core/diskCache.js';
import type { ProgramStore } from '../../engine/compile.js';
import type { Values } from '../../engine/onnx/graph.js';
import { OrtRuntime } from '../../engine/onnx/session.js';
import { type GraphLayout, StoredGraph } from '../../engine/onnx/storedGraph.js';
import {
  type ExplainArrays,
  type ExplainPrograms,
  explainArrays,
  type ImageBatch,
  type NamedArrays,
  type ScoreArrays,
  scoreArrays,
} from '../explainPrograms.js';
import { programKey } from './programKey.js';

/** What a session says of itself, kept beside each program so that nothing else need be loaded. */
export interface StoredNote<D> {
  readonly layout: GraphLayout;
  readonly description: D;
}

type BatchSize = Pick<ImageBatch, 'count' | 'height' | 'width'>;

/** Stored graphs held open at a time. */
const OPEN_LIMIT = 4;

/** `count` rows of `values` (of `total`) from `start` on; beyond the end the last row is repeated. */
function filledRows(values: Float32Array, total: number, start: number, count: number): Float32Array {
  const width = values.length / total;
  if (start + count <= total) return values.subarray(start * width, (start + count) * width);
  const rows = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const from = Math.min(start + i, total - 1) * width;
    rows.set(values.subarray(from, from + width), i * width);
  }
  return rows;
}

/** Runs a graph of `graph.rows` rows on all rows of a batch, one piece after the other. */
async function runRows(
  graph: StoredGraph,
  args: readonly Float32Array[],
  total: number,
): Promise<NamedArrays> {
  const { rows, layout } = graph;
  const whole = new Map<string, Values>();
  for (let start = 0; start < total; start += rows) {
    const results = await graph.run(args.map((values) => filledRows(values, total, start, rows)));
    layout.outputs.forEach(({ name }, i) => {
      const values = results[i] as Float32Array;
      if (rows === total) {
        whole.set(name, values);
        return;
      }
      const width = values.length / rows;
      const target = whole.get(name) ?? new (values.constructor as Float32ArrayConstructor)(total * width);
      whole.set(name, target);
      target.set(values.subarray(0, Math.min(rows, total - start) * width), start * width);
    });
  }
  return whole;
}

/**
 * Compiled programs that outlive their process. `open` gives one that an earlier process kept; `store` keeps those that
 * this one compiles, on `flush`.
 */
export class ProgramShelf<D> {
  private runtime: Promise<OrtRuntime> | null = null;
  private readonly pending: { readonly key: string; readonly path: string; readonly layout: GraphLayout }[] =
    [];
  private readonly wanted = new Map<string, string>();

  constructor(
    private readonly cache: DiskCache,
    private readonly identity: string,
    private readonly threads: number | undefined,
  ) {}

  /** The stored program and what was said of its session; null where there is none that works. */
  async open(
    name: string,
    size: BatchSize,
  ): Promise<{ readonly graph: StoredGraph; readonly description: D } | null> {
    const key = programKey(this.identity, name, size);
    const entry = this.cache.read(key);
    if (entry === null) return null;
    let runtime: OrtRuntime;
    try {
      this.runtime ??= OrtRuntime.load(this.threads, 'graphs');
      runtime = await this.runtime;
    } catch {
      // It no longer loads: starting the engine will say why.
      this.runtime = null;
      return null;
    }
    try {
      const { layout, description } = entry.note as StoredNote<D>;
      return { graph: await StoredGraph.open(runtime, entry.bytes, layout), description };
    } catch {
      // Not a graph that this runtime takes: it is compiled anew.
      this.cache.remove(key);
      return null;
    }
  }

  /** For `compile`: where the graphs of this session's programs go. */
  readonly store: ProgramStore = {
    pathFor: (name, specs, rows) => {
      const [, height, width] = specs[0].shape;
      const path = this.cache.temporaryPath();
      this.wanted.set(path, programKey(this.identity, name, { count: rows, height, width }));
      return path;
    },
    written: (path, layout) => {
      const key = this.wanted.get(path);
      this.wanted.delete(path);
      if (key !== undefined) this.pending.push({ key, path, layout });
    },
  };

  /** Writes what was compiled since the last call into the cache. */
  async flush(description: D): Promise<void> {
    if (this.pending.length === 0) return;
    const { shareConstants } = await import('../../engine/onnx/compactModel.js');
    for (const { key, path, layout } of this.pending.splice(0)) {
      const bytes = this.cache.takeFile(path);
      if (bytes === null) continue;
      this.cache.write(key, { layout, description } satisfies StoredNote<D>, shareConstants(bytes));
    }
  }
}

/** Programs from the shelf where they lie there, else those of the loaded network. */
export class ShelvedPrograms<D> implements ExplainPrograms {
  private readonly open = new Map<string, StoredGraph>();
  private live: ExplainPrograms | null = null;
  private last: Promise<unknown> = Promise.resolve();

  /**
   * @param load loads network and autoencoders, for sizes that no earlier process met; its programs become this one's
   */
  constructor(
    private readonly shelf: ProgramShelf<D>,
    readonly lowerConstants: readonly string[],
    readonly upperConstants: readonly string[],
    private readonly load: () => Promise<ExplainPrograms>,
  ) {}

  /** Takes over a graph that is open already. */
  adopt(name: string, size: BatchSize, graph: StoredGraph): void {
    this.open.set(programKey('', name, size), graph);
  }

  async scores(images: ImageBatch): Promise<ScoreArrays> {
    return this.inTurn(async () => {
      const graph = await this.graph('scores', images);
      if (graph === null) return (await this.loaded()).scores(images);
      return scoreArrays(await runRows(graph, [images.values], images.count));
    });
  }

  async explain(images: ImageBatch, wanted: Float32Array, versus: Float32Array): Promise<ExplainArrays> {
    return this.inTurn(async () => {
      const graph = await this.graph('explain', images);
      if (graph === null) return (await this.loaded()).explain(images, wanted, versus);
      return explainArrays(await runRows(graph, [images.values, wanted, versus], images.count));
    });
  }

  /** Calls follow each other, so that no graph is freed while it runs. */
  private inTurn<T>(call: () => Promise<T>): Promise<T> {
    const result = this.last.then(call);
    this.last = result.catch(() => undefined);
    return result;
  }

  dispose(): void {
    void this.inTurn(async () => {
      for (const graph of this.open.values()) await graph.dispose();
      this.open.clear();
    });
  }

  private async loaded(): Promise<ExplainPrograms> {
    this.live ??= await this.load();
    return this.live;
  }

  private async graph(name: string, size: BatchSize): Promise<StoredGraph | null> {
    const key = programKey('', name, size);
    const known = this.open.get(key);
    if (known !== undefined) return known;
    // The network is loaded: it has, or now makes, a program for this size too.
    if (this.live !== null) return null;
    const found = await this.shelf.open(name, size);
    if (found === null) return null;
    this.open.set(key, found.graph);
    const [oldest] = this.open;
    if (this.open.size > OPEN_LIMIT) {
      this.open.delete(oldest[0]);
      void oldest[1].dispose();
    }
    return found.graph;
  }
}
