import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256, sha256File } from '../../core/hash.js';
import { machineIdentity } from '../../engine/onnx/machine.js';

/** Changes when the form of what is stored beside a graph changes. */
const FORMAT = 1;
/** Folders of this package whose code decides what a compiled program computes. */
const CODE_FOLDERS = ['core', 'engine', 'layers', 'models', 'explain'];

let build: string | undefined;

/** Hash of the code that makes programs: a changed line makes other keys, in a checkout as in an installed version. */
export function buildIdentity(): string {
  if (build !== undefined) return build;
  const here = fileURLToPath(import.meta.url);
  const root = resolve(here, '..', '..', '..');
  const ending = extname(here);
  const hash = createHash('sha256');
  for (const folder of CODE_FOLDERS) {
    for (const name of readdirSync(join(root, folder), { recursive: true }).map(String).sort()) {
      if (!name.endsWith(ending) || name.endsWith('.d.ts')) continue;
      hash.update(`${folder}/${name}\n`).update(readFileSync(join(root, folder, name)));
    }
  }
  build = hash.digest('hex');
  return build;
}

/** What decides which programs belong to a network with its autoencoders. */
export interface ProgramIdentity {
  /** Files of the network and of each autoencoder, in an order that matters. */
  readonly files: readonly string[];
  /** Concepts shown one by one. */
  readonly top: number;
  readonly threads: number | undefined;
}

/**
 * Key of all programs of a network, its autoencoders, this code and this machine; null where a file cannot be read
 * (loading it says why). Files count by content, so that a damaged or changed weight is never overlooked.
 */
export async function identityKey({ files, top, threads }: ProgramIdentity): Promise<string | null> {
  try {
    const hashes = await Promise.all(files.map(sha256File));
    const identity = { format: FORMAT, build: buildIdentity(), top, hashes, ...machineIdentity(threads) };
    return sha256(JSON.stringify(identity));
  } catch {
    return null;
  }
}

/** Key of one program: function, picture size and number of pictures a call. */
export function programKey(
  identity: string,
  name: string,
  { count, height, width }: { readonly count: number; readonly height: number; readonly width: number },
): string {
  return `${identity.slice(0, 40)}-${name}-${height}x${width}-${count}`;
}
