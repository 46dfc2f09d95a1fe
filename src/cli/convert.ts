import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import {
  type ConvertReport,
  convertCheckpoint,
  type FloatDType,
  isModelFolder,
  type OnnxExporter,
  parityText,
  targetFormat,
} from '../convert/index.js';
import { startEngine } from '../engine/start.js';
import { exportModel } from '../explain/exported/exportModel.js';
import { MODEL_FILE } from '../models/modelFile.js';
import { runBcosify } from './bcosify.js';
import { type CliContext, collect, runVerb, usageError, verb } from './context.js';
import { packageVersion } from './version.js';

interface Flags {
  readonly arch?: string;
  readonly set: readonly string[];
  readonly check?: boolean;
  readonly ema?: boolean;
  readonly prefix?: string;
  readonly dtype?: FloatDType;
  readonly force?: boolean;
  readonly taps?: readonly string[];
  readonly photo?: string;
  readonly bcosify?: string | true;
}

/** `layer3,layer4`, once or several times. */
function collectTaps(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(',').map((tap) => tap.trim())];
}

/** What `fact export --kind predict` or `features` writes. */
const exportOnnx: OnnxExporter = (model, { taps, dtype }) =>
  exportModel(
    { model, sae: null, early: null },
    {
      kind: taps.length > 0 ? 'features' : 'predict',
      ...(taps.length > 0 ? { taps, withAnswers: true } : {}),
      weights: dtype === 'float16' ? 'f16' : 'f32',
      packageVersion: packageVersion(),
    },
  ).bytes;

/** The photograph of this package that networks are compared on where none is named. */
function examplePhoto(): { photo?: string } {
  const photo = fileURLToPath(new URL('../../examples/photos/goldfish/goldfish.jpg', import.meta.url));
  return existsSync(photo) ? { photo } : {};
}

/**
 * Copying weights computes nothing: the plain engine holds them. Comparing and reading graphs does, and ONNX files are
 * written by the engine `onnx`.
 */
function engineFor(source: string, target: string, flags: Flags): CliContext['engine'] {
  if (targetFormat(target) === 'onnx') return 'onnx';
  const isGraph =
    /\.(onnx|json)$/i.test(source) || (existsSync(join(source, MODEL_FILE)) && !isModelFolder(source));
  return flags.check === true || isGraph ? 'auto' : 'cpu';
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
  if (report.parity !== null) lines.push(parityText(report.parity));
  return lines.join('\n');
}

/** `fact convert SOURCE TARGET`: PyTorch, safetensors, ONNX and tfjs, each into each. */
export function register(program: Command): void {
  verb(program, 'convert', 'convert between PyTorch, safetensors, ONNX, tfjs and saved networks')
    .argument(
      '<source>',
      '.pth, .pt, .ckpt, .safetensors, .onnx, a tfjs model.json, or the folder of a network',
    )
    .argument(
      '<target>',
      '.pth, .pt, .ckpt, .safetensors or .onnx; a name without an ending: the folder of a network',
    )
    .option('--arch <name>', 'architecture, or auto: recognised by names and shapes')
    .option('--set <key=value>', 'option of the architecture that the weights do not tell', collect, [])
    .option('--check', 'read the target again, compare every tensor and stage, and write TARGET.parity.json')
    .option('--photo <file>', 'photograph to compare on with --check, beside noise')
    .option('--taps <names>', 'hidden features that an ONNX file gives too, e.g. layer3,layer4', collectTaps)
    .option('--ema', 'take the running average of the weights')
    .option('--prefix <text>', 'take the weights whose names begin with this')
    .addOption(
      new Option('--dtype <type>', 'storage of floating-point numbers').choices([
        'float32',
        'float16',
        'bfloat16',
      ]),
    )
    .option(
      '--bcosify [form]',
      'make a B-cos network of a standard one: equal (the same logits, B = 1) or published (B = 2, no biases)',
    )
    .option('--force', 'replace an existing target')
    .action(async (source: string, target: string, flags: Flags, command: Command) => {
      await runVerb(command, async (context) => {
        const { engine, threads, log, print } = context;
        const { set, bcosify, ...options } = flags;
        const given = settings(set);
        if (bcosify !== undefined)
          return runBcosify(
            context,
            source,
            target,
            { ...options, bcosify },
            set.length > 0 ? given : undefined,
          );
        await startEngine({
          engine: engine === 'auto' ? engineFor(source, target, flags) : engine,
          ...(threads === undefined ? {} : { threads }),
        });
        const report = await convertCheckpoint(source, target, {
          ...options,
          ...(set.length > 0 ? { set: given } : {}),
          exportOnnx,
          ...(flags.photo === undefined && flags.check === true ? examplePhoto() : {}),
          log,
        });
        print(reportText(report), report);
        return 0;
      });
    });
}
