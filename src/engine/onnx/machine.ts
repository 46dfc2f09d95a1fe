import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';

const require = createRequire(import.meta.url);

/** Version of an installed package, or `none`. */
function versionOf(name: string): string {
  try {
    return (require(`${name}/package.json`) as { version: string }).version;
  } catch {
    return 'none';
  }
}

/** Instruction sets of the processor, where the system tells. */
function cpuFeatures(): string {
  if (process.platform !== 'linux') return '';
  try {
    return /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].trim() ?? '';
  } catch {
    return '';
  }
}

/**
 * What an optimised graph depends on besides the function: ONNX Runtime chooses memory layouts by the processor and
 * folds constants with its own kernels.
 * @param threads as given to the engine; undefined: its choice
 */
export function machineIdentity(threads: number | undefined): Record<string, string | number> {
  return {
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    features: cpuFeatures(),
    cores: availableParallelism(),
    threads: threads ?? 'all',
    onnxruntime: versionOf('onnxruntime-node'),
    tfjs: versionOf('@tensorflow/tfjs-core'),
  };
}
