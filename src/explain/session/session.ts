import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DiskCache } from '../../core/diskCache.js';
import { sha256 } from '../../core/hash.js';
import type { StartOptions } from '../../engine/start.js';
import type { ModelSpec } from '../../models/spec.js';
import { BaseExplainer, DEFAULT_TOP } from '../baseExplainer.js';
import type { ReportContext } from '../report/report.js';
import type { LiveSession, SessionDescription } from './liveSession.js';
import {
  defaultModelFolder,
  MODEL_FILES,
  SAE_CONFIG_FILE,
  SAE_WEIGHTS_FILE,
  saeFoldersIn,
} from './modelFolders.js';
import { identityKey } from './programKey.js';
import { ProgramShelf, ShelvedPrograms } from './storedPrograms.js';

/** A network with its autoencoders, ready to explain. */
export interface ExplainSession {
  readonly spec: ModelSpec;
  readonly modelFolder: string;
  readonly autoencoders: ReportContext['autoencoders'];
  /** Hashes of the autoencoders' descriptions, which name their weights: other ones give other results. */
  readonly fingerprints: readonly string[];
  readonly explainer: BaseExplainer;
  /** Name of the engine that computes. */
  readonly engine: string;
  /** Whether a program that an earlier process compiled is used, so that no weights were loaded. */
  readonly isStored: boolean;
  /** What a report says about all this; `version` of this package. */
  context(command: ReportContext['command'], version: string): ReportContext;
  /** Keeps what was compiled for later processes, and frees everything. */
  close(): Promise<void>;
}

export interface SessionOptions {
  /** Default: the shipped network. */
  readonly model?: string;
  /** Folders of autoencoders; default or empty: those that lie with the network; null: none. */
  readonly saes?: readonly string[] | null;
  /** Concepts shown one by one, with their pixel maps. Default 8. */
  readonly top?: number;
  /** Bound of the ledgers' relative error. Default 1e-5. */
  readonly tolerance?: number;
  /** Engine to start when it is needed; without it one must be started already, and nothing is cached. */
  readonly engine?: StartOptions;
  /** Where compiled programs outlive their process; default: nowhere. */
  readonly cache?: DiskCache | null;
  /** The call that will come: lets a stored program be found before anything is loaded. */
  readonly first?: {
    readonly program: 'explain' | 'scores';
    /** Number of pictures that go into it, of this size each. */
    readonly count: (height: number, width: number) => number;
  };
}

/** Files that decide what is computed, in order. */
function filesOf(modelFolder: string, saeFolders: readonly string[]): string[] {
  return [
    ...MODEL_FILES.map((name) => join(modelFolder, name)),
    ...saeFolders.flatMap((folder) => [SAE_CONFIG_FILE, SAE_WEIGHTS_FILE].map((name) => join(folder, name))),
  ];
}

/** The shelf of this network's programs; null where none may be used. */
async function shelfOf(
  options: SessionOptions,
  modelFolder: string,
  saeFolders: readonly string[],
  top: number,
): Promise<ProgramShelf<SessionDescription> | null> {
  const { cache, engine } = options;
  if (!cache || engine === undefined || engine.compile === false) return null;
  if (!['auto', 'onnx'].includes(engine.engine ?? 'auto')) return null;
  const files = filesOf(modelFolder, saeFolders);
  const identity = await identityKey({ files, top, threads: engine.threads });
  return identity === null ? null : new ProgramShelf(cache, identity, engine.threads);
}

/** The description with the folders as they are named now: the same files may lie elsewhere today. */
function relocated(description: SessionDescription, saeFolders: readonly string[]): SessionDescription {
  const autoencoders = description.autoencoders.map((one) => ({
    ...one,
    path: saeFolders[description.saeFolders.indexOf(one.path)] ?? one.path,
  }));
  return { ...description, autoencoders, saeFolders };
}

/** Picture size of a network's preprocessing, if its fact.json can be read; what is wrong with it, loading says. */
function cropOf(modelFolder: string): { height: number; width: number } | null {
  try {
    const spec = JSON.parse(readFileSync(join(modelFolder, MODEL_FILES[0]), 'utf8')) as ModelSpec;
    const [height, width] = spec.preprocessing.crop;
    return { height, width };
  } catch {
    return null;
  }
}

/**
 * Opens a network and its autoencoders: from the programs that an earlier process compiled where `cache` has them, else
 * by loading and compiling. Throws the errors of `startEngine`, `loadModel` and `openSaes`. Caller closes.
 */
export async function openSession(options: SessionOptions): Promise<ExplainSession> {
  const modelFolder = options.model ?? defaultModelFolder();
  const named = options.saes === undefined ? [] : options.saes;
  const saeFolders = named === null ? [] : named.length > 0 ? named : saeFoldersIn(modelFolder);
  const top = options.top ?? DEFAULT_TOP;
  const shelf = await shelfOf(options, modelFolder, saeFolders, top);
  let live: LiveSession | null = null;
  const load = async (): Promise<LiveSession> => {
    const { openLive } = await import('./liveSession.js');
    live ??= await openLive({
      modelFolder,
      saes: named,
      saeFolders,
      top,
      ...(options.engine === undefined ? {} : { engine: options.engine }),
      ...(shelf === null ? {} : { store: shelf.store }),
    });
    return live;
  };
  const stored = shelf === null ? null : await openStored(shelf, options, modelFolder, load);
  const { programs, engine, ...found } = stored ?? (await load());
  const description = relocated(found.description, saeFolders);
  const { spec, autoencoders } = description;
  const tapOf = (role: 'concepts' | 'traces'): string | null =>
    autoencoders.find((one) => one.role === role)?.tap ?? null;
  const explainer = new BaseExplainer({ spec, tap: tapOf('concepts'), earlyTap: tapOf('traces') }, programs, {
    top,
    ...(options.tolerance === undefined ? {} : { tolerance: options.tolerance }),
  });
  return {
    spec,
    modelFolder,
    autoencoders,
    fingerprints: autoencoders.map(({ path }) => sha256(readFileSync(join(path, SAE_CONFIG_FILE)))),
    explainer,
    engine,
    isStored: stored !== null,
    context: (command, version) => ({
      command,
      packageVersion: version,
      engine,
      model: {
        path: modelFolder,
        arch: spec.arch,
        weightsHash: spec.weightsHash,
        classes: spec.options.numClasses,
      },
      autoencoders,
      top: explainer.top,
      tolerance: explainer.tolerance,
    }),
    close: async () => {
      await shelf?.flush(description);
      explainer.dispose();
      live?.dispose();
    },
  };
}

/** Stored programs, if the first call's is among them. */
async function openStored(
  shelf: ProgramShelf<SessionDescription>,
  { first }: SessionOptions,
  modelFolder: string,
  load: () => Promise<LiveSession>,
): Promise<Pick<LiveSession, 'programs' | 'description' | 'engine'> | null> {
  const crop = first === undefined ? null : cropOf(modelFolder);
  if (first === undefined || crop === null) return null;
  const size = { count: first.count(crop.height, crop.width), ...crop };
  const found = await shelf.open(first.program, size);
  if (found === null) return null;
  const { lowerConstants, upperConstants } = found.description;
  const programs = new ShelvedPrograms(
    shelf,
    lowerConstants,
    upperConstants,
    async () => (await load()).programs,
  );
  programs.adopt(first.program, size, found.graph);
  return { programs, description: found.description, engine: 'onnx' };
}
