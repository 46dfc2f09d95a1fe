import type { InputParity } from './networkParity.js';
import type { Parity } from './parity.js';

/** What `--check` found: written beside the target as JSON, printed as a table. */
export interface ParityReport {
  readonly source: string;
  readonly target: string;
  readonly arch: string | null;
  /** Every tensor of the target read again, against the source; null for targets without plain tensors (ONNX). */
  readonly tensors: Parity | null;
  /** Stage by stage: the network of the source as it was read, and that of the target, read again. */
  readonly stages: readonly InputParity[];
  /** Logits: a source that can be run by itself (ONNX, tfjs), and the network made from it. */
  readonly original: readonly InputParity[];
  /** What could not be compared, and why. */
  readonly notes: readonly string[];
}

const digits = (value: number): string => (value === 0 ? '0' : value.toExponential(1));

function table(title: string, inputs: readonly InputParity[]): string[] {
  return inputs.flatMap(({ input, stages }) => {
    const width = Math.max(5, ...stages.map(({ stage }) => stage.length));
    return [
      `${title}, ${input}:`,
      `  ${'stage'.padEnd(width)}  ${'values'.padStart(9)}  ${'largest'.padStart(8)}  ${'norm-wise'.padStart(9)}`,
      ...stages.map(
        ({ stage, values, max, relative }) =>
          `  ${stage.padEnd(width)}  ${String(values).padStart(9)}  ${digits(max).padStart(8)}  ${digits(relative).padStart(9)}`,
      ),
    ];
  });
}

/** The report as a person reads it. */
export function parityText(report: ParityReport): string {
  const lines: string[] = [];
  const { tensors } = report;
  if (tensors !== null) {
    const worst =
      tensors.worst === null || tensors.worst.relativeError === 0
        ? 'no value differs'
        : `largest relative error ${digits(tensors.worst.relativeError)} in ${tensors.worst.name} (rounding explains ${digits(tensors.tolerance)})`;
    lines.push(`parity: ${tensors.identical} of ${tensors.tensors} tensors are the same bytes, ${worst}`);
  }
  lines.push(...table('source file against the network made from it', report.original));
  lines.push(...table('source against target', report.stages));
  for (const note of report.notes) lines.push(`not compared: ${note}`);
  return lines.join('\n');
}
