import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The CUDA libraries in the order in which they need each other. TensorFlow looks for them by bare names when it finds
 * a GPU; those that are loaded already it takes as they are, so that no LD_LIBRARY_PATH has to be set.
 */
const ORDER = [
  'cuda_runtime',
  'nvjitlink',
  'cuda_nvrtc',
  'cublas',
  'cusparse',
  'cusolver',
  'cufft',
  'curand',
  'cudnn',
  'nccl',
  'cuda_cupti',
];

/** Within a folder: those that others there need first. */
const EARLIER = [/libcublasLt/, /libcudnn_graph/, /libcudnn\.so/];

/** Not called by TensorFlow. */
const UNUSED = /libnvblas|libcufftw|libcusolverMg|libcheckpoint|libpcsampling|libnvperf/;

function rank(name: string): number {
  const at = EARLIER.findIndex((pattern) => pattern.test(name));
  return at < 0 ? EARLIER.length : at;
}

/** Paths of the libraries of CUDA that were installed beside a libtensorflow, in the order to load them; maybe none. */
export function cudaLibraries(libraryFolder: string): string[] {
  const root = join(libraryFolder, '..', 'nvidia');
  return ORDER.flatMap((part) => {
    const folder = join(root, part, 'lib');
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder).filter((name) => /\.so(\.|$)/.test(name) && !UNUSED.test(name));
    return names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b)).map((name) => join(folder, name));
  });
}
