/*
 * A folder with a page that explains photographs in the browser: the page and its modules, an exported network, ONNX
 * Runtime for browsers, examples. Any static web server can serve it.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFolderAtomic } from '../core/atomicFile.js';
import { FactError } from '../core/errors.js';
import type { PageFacts } from './browser/app.js';
import type { ExportedModel } from './exportedModel.js';

/** The page's first module, from the compiled package's root. */
const ENTRY = 'explain/browser/app.js';
const ASSETS = ['index.html', 'isolation-worker.js'];
const FACTS = 'page.json';
const MODEL = 'explain.onnx';
/** Files of onnxruntime-web: WebAssembly with threads, and WebGPU. */
const RUNTIME_FILES = [
  'ort.wasm.min.mjs',
  'ort-wasm-simd-threaded.mjs',
  'ort-wasm-simd-threaded.wasm',
  'ort.webgpu.min.mjs',
  'ort-wasm-simd-threaded.asyncify.mjs',
  'ort-wasm-simd-threaded.asyncify.wasm',
];
const RUNTIME_FOLDER = 'ort/';

export interface PageOptions {
  /** Folder of compiled modules (default: where this one lies). */
  readonly compiled?: string;
  /** Folder of onnxruntime-web's files (default: the installed package); null: the page finds it at `runtimes`. */
  readonly runtime?: string | null;
  /** Addresses, relative to the page, where ONNX Runtime may lie. */
  readonly runtimes?: readonly string[];
  /** Photographs to offer. */
  readonly examples?: readonly string[];
  /** Concepts shown. */
  readonly top: number;
}

/** Folder of the installed onnxruntime-web. Throws FactError E_PAGE_RUNTIME where it is not installed. */
export function webRuntimeFolder(resolvePackage = createRequire(import.meta.url).resolve): string {
  try {
    return dirname(resolvePackage('onnxruntime-web'));
  } catch (cause) {
    throw new FactError({
      code: 'E_PAGE_RUNTIME',
      message: 'onnxruntime-web is not installed: the page needs its files',
      remedy: 'Run: npm install onnxruntime-web@1.30.0',
      cause,
    });
  }
}

/** Addresses of the modules that a compiled module imports. Throws where one is not a file of this package. */
function importsOf(source: string, path: string): string[] {
  return [...source.matchAll(/^(?:import|export)\b[^'"]*?from\s*['"]([^'"]+)['"]/gm)].map(([, specifier]) => {
    if (!specifier.startsWith('.')) throw new Error(`${path} imports ${specifier}: a browser cannot`);
    return resolve(dirname(path), specifier);
  });
}

/** Files that a compiled module needs, itself included. */
export function moduleFiles(entry: string): string[] {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const next of importsOf(readFileSync(path, 'utf8'), path)) visit(next);
  };
  visit(entry);
  return [...seen];
}

function refuseOtherFolder(folder: string): void {
  if (!existsSync(folder) || existsSync(join(folder, FACTS)) || readdirSync(folder).length === 0) return;
  throw new FactError({
    code: 'E_PAGE_FOLDER',
    message: `${folder} holds other files, which a page would replace`,
    remedy: 'Give --page a new folder, or one that an earlier --page wrote.',
    exitCode: 2,
  });
}

function copyInto(folder: string, files: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  for (const file of files) copyFileSync(file, join(folder, basename(file)));
}

/** The page's modules. Throws FactError E_PAGE_MODULES where they are not compiled. */
function compiledModules(compiled: string): string[] {
  const entry = join(compiled, ENTRY);
  if (existsSync(entry)) return moduleFiles(entry);
  throw new FactError({
    code: 'E_PAGE_MODULES',
    message: `the page's compiled modules are not at ${compiled}`,
    remedy: 'In a clone of the repository, run npm run build first and then node bin/fact.js.',
  });
}

function copyModules(files: readonly string[], compiled: string, folder: string): void {
  for (const file of files) {
    const target = join(folder, relative(compiled, file));
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(file, target);
  }
}

/**
 * Writes the page for an exported explanation; a page that was there before is replaced, other folders are refused.
 * Throws FactError E_PAGE_FOLDER, E_PAGE_RUNTIME, E_PAGE_MODULES, E_WRITE.
 */
export async function writePage(folder: string, model: ExportedModel, options: PageOptions): Promise<void> {
  const compiled = resolve(options.compiled ?? fileURLToPath(new URL('..', import.meta.url)));
  const runtime = options.runtime === undefined ? webRuntimeFolder() : options.runtime;
  const examples = options.examples ?? [];
  const modules = compiledModules(compiled);
  refuseOtherFolder(folder);
  await writeFolderAtomic(folder, (into) => {
    copyInto(
      into,
      ASSETS.map((name) => join(compiled, dirname(ENTRY), name)),
    );
    copyModules(modules, compiled, join(into, 'js'));
    if (runtime !== null)
      copyInto(
        join(into, RUNTIME_FOLDER),
        RUNTIME_FILES.map((name) => join(runtime, name)),
      );
    if (examples.length > 0) copyInto(join(into, 'examples'), examples);
    const facts: PageFacts = {
      model: MODEL,
      runtimes: [RUNTIME_FOLDER, ...(options.runtimes ?? [])],
      top: options.top,
      examples: examples.map((path) => `examples/${basename(path)}`),
      metadata: model.metadata,
    };
    writeFileSync(join(into, MODEL), model.bytes);
    writeFileSync(join(into, FACTS), `${JSON.stringify(facts, null, 2)}\n`);
  });
}
