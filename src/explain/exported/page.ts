/*
 * A folder with a page that explains photographs in the browser: the page and its program, an exported network, ONNX
 * Runtime for browsers, examples. Any static web server can serve it.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFolderAtomic } from '../../core/atomicFile.js';
import { FactError } from '../../core/errors.js';
import type { PageFacts } from '../browser/app.js';
import type { ExportedModel } from './exportModel.js';

/** Files of the page itself; its program is bundled when the package is built. */
const ASSETS = ['index.html', 'page.js', 'isolation-worker.js'];
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
const EXAMPLES_FOLDER = 'examples/';

export interface PageOptions {
  /** Folder of the page's own files (default: this package's). */
  readonly assets?: string;
  /** Folder of onnxruntime-web's files (default: the installed package). */
  readonly runtime?: string;
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

/** The page's own files. Throws FactError E_PAGE_BUNDLE where its program is not built. */
function pageFiles(folder: string): string[] {
  const files = ASSETS.map((name) => join(folder, name));
  const missing = files.find((file) => !existsSync(file));
  if (missing === undefined) return files;
  throw new FactError({
    code: 'E_PAGE_BUNDLE',
    message: `the page's program is not built: there is no ${missing}`,
    remedy: 'In a clone of the repository, run npm run build first and then node bin/fact.js.',
  });
}

/**
 * Writes the page for an exported explanation; a page that was there before is replaced, other folders are refused.
 * Throws FactError E_PAGE_FOLDER, E_PAGE_RUNTIME, E_PAGE_BUNDLE, E_WRITE.
 */
export async function writePage(folder: string, model: ExportedModel, options: PageOptions): Promise<void> {
  const files = pageFiles(options.assets ?? fileURLToPath(new URL('../browser', import.meta.url)));
  const runtime = options.runtime ?? webRuntimeFolder();
  const examples = options.examples ?? [];
  refuseOtherFolder(folder);
  await writeFolderAtomic(folder, (into) => {
    copyInto(into, files);
    copyInto(
      join(into, RUNTIME_FOLDER),
      RUNTIME_FILES.map((name) => join(runtime, name)),
    );
    copyInto(join(into, EXAMPLES_FOLDER), examples);
    const facts: PageFacts = {
      model: MODEL,
      runtime: RUNTIME_FOLDER,
      top: options.top,
      examples: examples.map((path) => EXAMPLES_FOLDER + basename(path)),
      metadata: model.metadata,
    };
    writeFileSync(join(into, MODEL), model.bytes);
    writeFileSync(join(into, FACTS), `${JSON.stringify(facts, null, 2)}\n`);
  });
}
