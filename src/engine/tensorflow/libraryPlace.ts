import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FactError } from '../../core/errors.js';
import { userDataFolder } from '../../core/userData.js';

/** The two files of libtensorflow, in the order in which they are loaded. */
export const LIBRARY_NAMES: readonly string[] =
  process.platform === 'darwin'
    ? ['libtensorflow_framework.2.dylib', 'libtensorflow_cc.2.dylib']
    : ['libtensorflow_framework.so.2', 'libtensorflow_cc.so.2'];

export const INSTALL_COMMAND = 'fact engine install tensorflow';

/** Version that `fact engine install tensorflow` brings. */
export const TENSORFLOW_VERSION = '2.18.1';

/** With CUDA or without. */
export type Variant = 'cpu' | 'gpu';

/** Where a libtensorflow lies. */
export interface LibraryPlace {
  readonly folder: string;
  /** What to do when the library there is of no use. */
  readonly remedy: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where `fact engine install tensorflow` puts a variant; its libraries lie in the folder `tensorflow` below. */
export function installFolder(variant: Variant, env: Environment = process.env): string {
  return join(userDataFolder(env), 'engines', `tensorflow-${TENSORFLOW_VERSION}-${variant}`);
}

function isComplete(folder: string): boolean {
  return LIBRARY_NAMES.every((name) => existsSync(join(folder, name)));
}

/**
 * The library to use: that of FACT_LIBTENSORFLOW (a folder) where it is set, else the installed one, the variant for
 * GPUs first. Throws FactError E_ENGINE_MISSING where there is none.
 */
export function findLibrary(env: Environment = process.env): LibraryPlace {
  const named = env.FACT_LIBTENSORFLOW;
  if (named !== undefined && named !== '') {
    const folder = resolve(named);
    if (!isComplete(folder))
      throw new FactError({
        code: 'E_ENGINE_MISSING',
        message: `engine tensorflow: FACT_LIBTENSORFLOW names ${folder}, which does not hold ${LIBRARY_NAMES.join(' and ')}`,
        remedy: `Name the folder that holds these files, or unset it and run \`${INSTALL_COMMAND}\`.`,
      });
    return {
      folder,
      remedy: `Name another folder in FACT_LIBTENSORFLOW, or unset it and run \`${INSTALL_COMMAND}\`.`,
    };
  }
  for (const variant of ['gpu', 'cpu'] as const) {
    const folder = join(installFolder(variant, env), 'tensorflow');
    if (isComplete(folder))
      return {
        folder,
        remedy: `Run \`${INSTALL_COMMAND}${variant === 'gpu' ? ' --gpu' : ''} --force\` to fetch it again.`,
      };
  }
  throw new FactError({
    code: 'E_ENGINE_MISSING',
    message: 'engine tensorflow: libtensorflow is not installed',
    remedy: `Run \`${INSTALL_COMMAND}\`, or use --engine onnx.`,
  });
}
