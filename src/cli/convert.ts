import { type Command, Option } from 'commander';
import { type ConvertReport, convertCheckpoint, type FloatDType } from '../convert/index.js';
import { startEngine } from '../engine/start.js';
import { collect, runVerb, usageError, verb } from './context.js';

interface Flags {
  readonly arch?: string;
  readonly set: readonly string[];
  readonly check?: boolean;
  readonly ema?: boolean;
  readonly prefix?: string;
  readonly dtype?: FloatDType;
  readonly force?: boolean;
}

/** `--set key=value` as options: the value is JSON, or text where it is not. Throws E_USAGE. */
function settings(texts: readonly string[]): Record<string, unknown> {
  const entries = texts.map((text): [string, unknown] => {
    const at = text.indexOf('=');
    if (at < 1) throw usageError(`--set ${text}: expected key=value`, 'For example --set stem=small.');
    const value = text.slice(at + 1);
    try {
      return [text.slice(0, at), JSON.parse(value)];
    } catch {
      return [text.slice(0, at), value];
    }
  });
  return Object.fromEntries(entries);
}

const number = new Intl.NumberFormat('en-US');

function reportText(report: ConvertReport): string {
  const lines = [
    `${report.source} (${report.sourceFormat}) -> ${report.target} (${report.targetFormat})`,
    `${number.format(report.tensors)} tensors, ${number.format(report.values)} values${report.arch === null ? '' : `, architecture ${report.arch}`}`,
  ];
  if (report.prefix !== null && report.prefix !== '') lines.push(`weights under "${report.prefix}"`);
  const { parity } = report;
  if (parity !== null) {
    const worst =
      parity.worst === null || parity.worst.relativeError === 0
        ? 'no value differs'
        : `largest relative error ${parity.worst.relativeError.toExponential(1)} in ${parity.worst.name} (rounding explains ${parity.tolerance.toExponential(1)})`;
    lines.push(`parity: ${parity.identical} of ${parity.tensors} tensors are the same bytes, ${worst}`);
  }
  return lines.join('\n');
}

/** `fact convert SOURCE TARGET`: PyTorch, safetensors and tfjs, each into each. */
export function register(program: Command): void {
  verb(program, 'convert', 'convert between PyTorch and safetensors checkpoints and saved networks')
    .argument('<source>', '.pth, .pt, .ckpt, .safetensors, or the folder of a saved network')
    .argument('<target>', 'the same by its ending; a name without one: the folder of a network')
    .option('--arch <name>', 'architecture, or auto: recognised by names and shapes')
    .option('--set <key=value>', 'option of the architecture that the weights do not tell', collect, [])
    .option('--check', 'read the target again and compare every tensor')
    .option('--ema', 'take the running average of the weights')
    .option('--prefix <text>', 'take the weights whose names begin with this')
    .addOption(
      new Option('--dtype <type>', 'storage of floating-point numbers').choices([
        'float32',
        'float16',
        'bfloat16',
      ]),
    )
    .option('--force', 'replace an existing target')
    .action(async (source: string, target: string, flags: Flags, command: Command) => {
      await runVerb(command, async ({ engine, threads, log, print }) => {
        const { set, ...options } = flags;
        const given = settings(set);
        // Nothing is computed: the plain engine holds the weights, unless another is asked for.
        await startEngine({
          engine: engine === 'auto' ? 'cpu' : engine,
          ...(threads === undefined ? {} : { threads }),
        });
        const report = await convertCheckpoint(source, target, {
          ...options,
          ...(set.length > 0 ? { set: given } : {}),
          log,
        });
        print(reportText(report), report);
        return 0;
      });
    });
}
