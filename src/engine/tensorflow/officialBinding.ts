/**
 * An installed @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node: its compiled addon and its libtensorflow, without its
 * JavaScript (which registers a backend of its own and fails on Node 24).
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../../core/errors.js';
import type { Attr, Handle, HostValues, OpAttrs, OpOutput, TensorflowBinding } from './binding.js';
import { operationError } from './operationError.js';

/** What tfjs-node's addon offers (its file binding/tfjs_binding.cc); numbers of attribute types are its own. */
export interface OfficialAddon {
  readonly TF_Version: string;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_STRING: number;
  isUsingGpuDevice(): boolean;
  createTensor(shape: number[], dtype: number, values: HostValues): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): HostValues;
  executeOp(
    name: string,
    attrs: readonly { name: string; type: number; value: unknown }[],
    inputs: readonly number[],
    outputs: number,
  ): { id: number; shape: number[]; dtype: number }[];
}

/** An addon that was found and loaded, or why none was. */
export type OfficialSearch =
  | { readonly addon: OfficialAddon; readonly origin: string }
  | { readonly addon: null; readonly reason: string | null };

export const OFFICIAL_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** Folders of an installed package, seen from this package and from the program that runs. */
function packageFolders(name: string): string[] {
  const bases = [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href];
  const found = bases.flatMap((base) => {
    try {
      return [dirname(createRequire(base).resolve(`${name}/package.json`))];
    } catch {
      return []; // not installed there
    }
  });
  return [...new Set(found)];
}

/** The compiled addon of a package's folder: lib/napi-vN/tfjs_binding.node, the newest N. */
function addonOf(folder: string): string | null {
  const lib = join(folder, 'lib');
  if (!existsSync(lib)) return null;
  const versions = readdirSync(lib)
    .flatMap((name) => /^napi-v(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
  const paths = versions.map((version) => join(lib, `napi-v${version}`, 'tfjs_binding.node'));
  return paths.find((path) => existsSync(path)) ?? null;
}

/**
 * Looks for an official package and loads its addon. A package whose install script never ran, or whose addon does not
 * load, is passed over; `reason` then says what was wrong. `folders` is for tests.
 */
export function findOfficial(
  threads: number | undefined,
  folders: (name: string) => string[] = packageFolders,
): OfficialSearch {
  let reason: string | null = null;
  for (const name of OFFICIAL_PACKAGES) {
    for (const folder of folders(name)) {
      const path = addonOf(folder);
      if (path === null) {
        reason ??= `${name} is installed without its compiled part`;
        continue;
      }
      // The addon starts TensorFlow when it is loaded; these are its only way to set threads and to be quiet.
      process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
      if (threads !== undefined) process.env.TF_NUM_INTRAOP_THREADS = String(threads);
      try {
        const addon = createRequire(import.meta.url)(path) as Partial<OfficialAddon>;
        if (typeof addon.executeOp === 'function' && typeof addon.TF_Version === 'string')
          return { addon: addon as OfficialAddon, origin: name };
        reason ??= `${name} holds an addon that is not TensorFlow's`;
      } catch (error) {
        reason ??= `${name} does not load: ${messageOf(error).split('\n')[0]}`;
      }
    }
  }
  return { addon: null, reason };
}

/** That addon as this engine's binding. */
export class OfficialBinding implements TensorflowBinding {
  readonly version: string;
  readonly device: 'CPU' | 'GPU';

  constructor(
    private readonly addon: OfficialAddon,
    readonly origin: string,
  ) {
    this.version = addon.TF_Version;
    this.device = addon.isUsingGpuDevice() ? 'GPU' : 'CPU';
  }

  create(dtype: number, shape: readonly number[], values: HostValues): Handle {
    return this.addon.createTensor([...shape], dtype, values);
  }

  read(handle: Handle): HostValues {
    return this.addon.tensorDataSync(handle as number);
  }

  release(handle: Handle): void {
    this.addon.deleteTensor(handle as number);
  }

  execute(op: string, inputs: readonly Handle[], attrs: OpAttrs, outputs: number): OpOutput[] {
    const list = Object.entries(attrs).map(([name, attr]) => ({ name, ...this.attribute(attr) }));
    try {
      return this.addon
        .executeOp(op, list, inputs as readonly number[], outputs)
        .map(({ id, shape, dtype }) => ({ handle: id, shape, dtype }));
    } catch (error) {
      const text = messageOf(error);
      throw operationError(
        op,
        /Invalid TF_Status: 8\b/.test(text),
        text.replace(/^Invalid TF_Status: \d+\s*Message: /, ''),
      );
    }
  }

  private attribute(attr: Attr): { type: number; value: unknown } {
    const { addon } = this;
    switch (attr.kind) {
      case 'type':
        return { type: addon.TF_ATTR_TYPE, value: attr.value };
      case 'int':
      case 'ints':
        return { type: addon.TF_ATTR_INT, value: attr.value };
      case 'float':
        return { type: addon.TF_ATTR_FLOAT, value: attr.value };
      case 'bool':
        return { type: addon.TF_ATTR_BOOL, value: attr.value };
      case 'string':
        return { type: addon.TF_ATTR_STRING, value: attr.value };
    }
  }
}
