import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { writeFileAtomic } from '../core/atomicFile.js';
import { sha256File } from '../core/hash.js';
import { WEIGHT_STORAGES, type WeightStorage } from '../engine/onnx/weightStorage.js';
import { startEngine } from '../engine/start.js';
import { DEFAULT_TOP } from '../explain/baseExplainer.js';
import { type ExportedModel, exportModel } from '../explain/exported/exportModel.js';
import {
  EXPORT_INPUTS,
  EXPORT_KINDS,
  type ExportInputKind,
  type ExportKind,
} from '../explain/exported/notes.js';
import { writePage } from '../explain/exported/page.js';
import { servePage } from '../explain/exported/servePage.js';
import { SAE_WEIGHTS_FILE } from '../explain/sae.js';
import { type ChosenSaes, defaultModelFolder, type FoundSae, openSaes } from '../explain/session/shipped.js';
import type { BcosModel } from '../models/bcosModel.js';
import { loadModel } from '../models/loadModel.js';
import { type CliContext, collect, parseCount, runVerb, usageError, verb } from './context.js';
import { checkWritten } from './exportCheck.js';
import { packageVersion } from './version.js';

interface ExportFlags {
  readonly sae?: readonly string[];
  readonly pixelsOnly?: boolean;
  readonly out?: string;
  readonly kind: ExportKind;
  readonly tap?: readonly string[];
  readonly batch?: number;
  readonly size?: readonly [number, number];
  readonly weights: WeightStorage;
  readonly page?: string;
  readonly photo?: readonly string[];
  readonly serve?: number | true;
  readonly input: ExportInputKind;
  readonly check?: string | true;
  /** false with --no-ledger. */
  readonly ledger: boolean;
}

const DEFAULT_PORT = 8080;
const DEFAULT_OUT = 'explain.onnx';

/** "224" or "224x320" (height x width). Throws FactError E_USAGE. */
function parseSize(text: string): readonly [number, number] {
  const [height, width = height, ...rest] = text.split('x').map(Number);
  if (rest.length === 0 && [height, width].every((v) => Number.isInteger(v) && v > 0)) return [height, width];
  throw usageError(`"${text}" is not a size`, 'Give a number of pixels, or height x width such as 224x320.');
}

/** An autoencoder as FOLDER or FOLDER@TAP: the folder, and the tap that it must have. */
function parseSae(text: string): { folder: string; tap: string | null } {
  const at = text.lastIndexOf('@');
  if (at <= 0 || existsSync(text)) return { folder: text, tap: null };
  return { folder: text.slice(0, at), tap: text.slice(at + 1) };
}

function checkTaps(named: readonly ReturnType<typeof parseSae>[], { concepts, traces }: ChosenSaes): void {
  for (const { folder, tap } of named) {
    const found = [concepts, traces].find((one) => one?.path === folder);
    if (tap === null || found === null || found === undefined || found.sae.tap === tap) continue;
    throw usageError(
      `${folder} is an autoencoder for tap "${found.sae.tap}", not "${tap}"`,
      `Write --sae ${folder}@${found.sae.tap}, or leave the tap out.`,
    );
  }
}

async function openAll(model: BcosModel, folder: string, flags: ExportFlags): Promise<ChosenSaes> {
  if (flags.pixelsOnly || flags.kind !== 'explain') return { concepts: null, traces: null };
  const named = (flags.sae ?? []).map(parseSae);
  const chosen = await openSaes(
    model,
    folder,
    named.map((one) => one.folder),
  );
  checkTaps(named, chosen);
  return chosen;
}

const hashOf = async (found: FoundSae | null): Promise<string | undefined> =>
  found === null ? undefined : sha256File(join(found.path, SAE_WEIGHTS_FILE));

function summary(out: string, file: ExportedModel): string {
  const megabytes = (file.bytes.length / 1e6).toFixed(1);
  return [
    `${out}: ${megabytes} MB, opset 17`,
    `  inputs   ${file.inputs.join(', ')}`,
    `  outputs  ${file.outputs.join(', ')}`,
  ].join('\n');
}

/** Serves a page until the process is stopped. */
async function serve(context: CliContext, page: string, port: number): Promise<void> {
  const { server, address } = await servePage(page, port);
  context.log.info(`The page is at ${address} (Ctrl-C ends it).`);
  await new Promise<void>((done) => {
    const stop = (): void => {
      server.closeAllConnections();
      server.close(() => done());
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
  });
}

function checkPage(flags: ExportFlags): void {
  const given = flags.serve !== undefined || flags.photo !== undefined;
  if (flags.page === undefined && given)
    throw usageError('--serve and --photo belong to a page, and there is none', 'Add --page FOLDER.');
  if (flags.page === undefined) return;
  if (flags.kind !== 'explain' || flags.input !== 'float32' || flags.batch !== undefined)
    throw usageError(
      '--page needs an explanation of prepared images, one or more at once',
      'Leave --kind, --input and --batch out.',
    );
  if (flags.out !== undefined)
    throw usageError('--page writes a folder, --out a file', 'Give one of the two.');
}

async function run(context: CliContext, model: string | undefined, flags: ExportFlags): Promise<number> {
  if (flags.tap !== undefined && flags.kind !== 'features')
    throw usageError(
      '--tap is given, but no features are exported',
      'Add --kind features, or leave --tap out.',
    );
  checkPage(flags);
  const out = resolve(flags.out ?? DEFAULT_OUT);
  if (context.engine !== 'auto' && context.engine !== 'onnx')
    throw usageError(`engine ${context.engine} cannot export`, 'Leave --engine out, or give --engine onnx.');
  await startEngine({
    engine: 'onnx',
    ...(context.threads === undefined ? {} : { threads: context.threads }),
  });
  const folder = model ?? defaultModelFolder();
  const network = await loadModel(folder);
  const saes = await openAll(network, folder, flags).catch((error: unknown) => {
    network.dispose();
    throw error;
  });
  try {
    const [sae, early] = [await hashOf(saes.concepts), await hashOf(saes.traces)];
    const source = { model: network, sae: saes.concepts?.sae ?? null, early: saes.traces?.sae ?? null };
    const file = exportModel(source, {
      kind: flags.kind,
      weights: flags.weights,
      input: flags.input,
      ledgers: flags.ledger && flags.page === undefined,
      packageVersion: packageVersion(),
      saeHashes: { ...(sae === undefined ? {} : { sae }), ...(early === undefined ? {} : { early }) },
      ...(flags.batch === undefined ? {} : { batch: flags.batch }),
      ...(flags.size === undefined ? {} : { size: flags.size }),
      ...(flags.tap === undefined ? {} : { taps: flags.tap }),
    });
    const { inputs, outputs, metadata } = file;
    if (flags.page !== undefined) {
      const page = resolve(flags.page);
      await writePage(page, file, { top: DEFAULT_TOP, examples: flags.photo ?? [] });
      context.print(
        `${page}: the page, its network (${(file.bytes.length / 1e6).toFixed(1)} MB) and ONNX Runtime`,
        {
          page,
          bytes: file.bytes.length,
          metadata,
        },
      );
      if (flags.serve !== undefined)
        await serve(context, page, flags.serve === true ? DEFAULT_PORT : flags.serve);
      return 0;
    }
    writeFileAtomic(out, file.bytes);
    const checked =
      flags.check === undefined ? null : await checkWritten(context, out, source, flags.weights, flags.check);
    context.print([summary(out, file), ...(checked?.lines ?? [])].join('\n'), {
      file: out,
      bytes: file.bytes.length,
      inputs,
      outputs,
      metadata,
      check: checked?.result ?? null,
    });
    return checked === null || checked.holds ? 0 : 1;
  } finally {
    saes.concepts?.sae.dispose();
    saes.traces?.sae.dispose();
    network.dispose();
  }
}

/** `fact export [MODEL]` */
export function register(program: Command): void {
  verb(program, 'export', 'an ONNX file that predicts and explains in any runtime, without this program')
    .argument('[model]', 'network (default: the one that comes with this program)')
    .option(
      '--sae <folder[@tap]>',
      'autoencoder; twice for traces between two taps (default: those that lie with the network)',
      collect,
    )
    .option('--pixels-only', 'no autoencoder: explain pixels, not concepts')
    .option('-o, --out <file>', `file to write (default: ${DEFAULT_OUT})`)
    .addOption(new Option('--kind <kind>', 'what it computes').choices(EXPORT_KINDS).default('explain'))
    .option('--tap <name>', 'tap of --kind features; may be given several times', collect)
    .option('--batch <n>', 'images in one run (default: any number)', parseCount)
    .option('--size <pixels>', 'size of the images (default: what the network was made for)', parseSize)
    .addOption(
      new Option('--weights <type>', 'storage of the weights').choices(WEIGHT_STORAGES).default('f32'),
    )
    .addOption(
      new Option('--input <type>', 'prepared images, or photographs of any size as bytes')
        .choices(EXPORT_INPUTS)
        .default('float32'),
    )
    .option('--page <folder>', 'write a web page around the file that explains photographs in the browser')
    .option('--photo <file>', 'example to offer on the page; may be given several times', collect)
    .option('--serve [port]', `serve the page on this computer (default port: ${DEFAULT_PORT})`, parseCount)
    .option('--no-ledger', 'leave the ledgers out: for runtimes without float64, such as WebGPU')
    .option(
      '--check [picture]',
      'run the file on a picture and compare it with the program; exit status 1 if they differ',
    )
    .action((model: string | undefined, flags: ExportFlags, command: Command) =>
      runVerb(command, (context) => run(context, model, flags)),
    );
}
