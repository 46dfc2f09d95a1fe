import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { showProgress } from '../../core/progress.js';
import { engineThreads } from '../../engine/threads.js';
import { type BcosModel, createModel, loadModel } from '../../models/index.js';
import {
  loadSaeConfig,
  mergeChanges,
  resolveSaeConfig,
  type SaeTrainConfig,
} from '../../train/sae/config.js';
import type { PositionChoice } from '../../train/sae/features/sampling.js';
import { tapSizes } from '../../train/sae/features/tapReader.js';
import { LAPTOP, laptopPlan } from '../../train/sae/plan/laptop.js';
import { measureDecoding, measureSetting } from '../../train/sae/plan/measure.js';
import { type PlanOptions, planOf } from '../../train/sae/plan/plan.js';
import {
  measuredRates,
  type PlanRates,
  type SettingRates,
  STATED_RATES,
} from '../../train/sae/plan/rates.js';
import { IMAGENET, type PlanSetting, planSetting, publishedSettings } from '../../train/sae/plan/settings.js';
import { type CliContext, collect, parseCount, runVerb, usageError, verb } from '../context.js';
import { parseNumber, parsePositions, parseWhole, startFor } from './options.js';
import { planText } from './planText.js';

interface PlanFlags {
  readonly config?: string;
  readonly tap?: readonly string[];
  readonly latents?: number;
  readonly k?: number;
  readonly epochs?: number;
  readonly batch?: number;
  readonly positions?: PositionChoice;
  readonly network?: string;
  readonly images?: number;
  readonly heldOut?: number;
  readonly validation: number;
  readonly maxGb?: number;
  readonly onTheFly?: boolean;
  readonly measure?: boolean;
}

function changesOf(flags: PlanFlags): Record<string, unknown> {
  return {
    latents: flags.latents,
    k: flags.k,
    epochs: flags.epochs,
    batchRows: flags.batch,
    'features.positions': flags.positions,
  };
}

/** Recipes of a network of the user's: a file, or the options, for each tap. */
function recipesOf(flags: PlanFlags): SaeTrainConfig[] {
  const changes = changesOf(flags);
  const { config, tap: taps } = flags;
  if (config !== undefined)
    return (taps ?? [undefined]).map((tap) => loadSaeConfig(config, { ...changes, tap }));
  if (taps === undefined || flags.latents === undefined || flags.k === undefined)
    throw usageError('the autoencoder is not said', 'Give -c CONFIG.yaml, or --tap, --latents and --k.');
  return taps.map((tap) => resolveSaeConfig(mergeChanges({}, { ...changes, tap }), 'command line'));
}

function optionsOf(flags: PlanFlags): PlanOptions {
  const heldOut = flags.heldOut ?? (flags.images === undefined ? 50 * IMAGENET.classes : 0);
  return {
    images: flags.images ?? IMAGENET.images - heldOut,
    heldOut,
    validation: flags.validation,
    maxBytes: flags.maxGb === undefined ? null : flags.maxGb * 1e9,
    onTheFly: flags.onTheFly === true,
  };
}

type WithModel<T> = (setting: PlanSetting, work: (model: BcosModel) => Promise<T>) => Promise<T>;

async function measure(
  context: CliContext,
  settings: readonly PlanSetting[],
  withModel: WithModel<SettingRates>,
): Promise<PlanRates> {
  const rates = new Map<PlanSetting, SettingRates>();
  const progress = showProgress('measuring', settings.length, 'settings', context.quiet);
  try {
    for (const setting of settings) {
      const found = await withModel(setting, (model) =>
        measureSetting(model, setting, model.spec.preprocessing.crop),
      );
      rates.set(setting, found);
      progress.update(rates.size);
    }
  } finally {
    progress.stop();
  }
  const threads = engineThreads() ?? availableParallelism();
  const source = `measured just now on ${threads} threads, the faster of two runs`;
  return measuredRates(rates, { source, threads, decode: await measureDecoding() });
}

function print(
  context: CliContext,
  settings: readonly PlanSetting[],
  options: PlanOptions,
  rates: PlanRates,
): void {
  const plans = settings.map((setting) => planOf(setting, options, rates));
  const laptops = plans.map(({ setting, memory }) =>
    laptopPlan(setting, options.images, memory.reader, LAPTOP),
  );
  context.print(planText(plans, options, rates, laptops), {
    options,
    rates: { source: rates.source, threads: rates.threads, decode: rates.decode },
    laptop: LAPTOP,
    settings: plans.map((plan, i) => ({ ...plan, laptop: laptops[i] })),
  });
}

/** The published settings, of one network or of all. */
async function planPublished(context: CliContext, flags: PlanFlags): Promise<void> {
  const all = publishedSettings(changesOf(flags));
  const settings = all.filter(({ network }) => flags.network === undefined || network === flags.network);
  if (settings.length === 0)
    throw usageError(
      `there are no published autoencoders of "${flags.network}"`,
      `There are some of: ${[...new Set(all.map(({ network }) => network))].join(', ')}.`,
    );
  const options = optionsOf(flags);
  if (flags.measure !== true) return print(context, settings, options, STATED_RATES);
  await startFor(context);
  const rates = await measure(context, settings, async ({ network }, work) => {
    const model = createModel(network);
    return work(model).finally(() => model.dispose());
  });
  print(context, settings, options, rates);
}

async function planModel(context: CliContext, folder: string, flags: PlanFlags): Promise<void> {
  if (!existsSync(folder)) throw usageError(`${folder} does not exist`, 'Give the folder of a network.');
  const recipes = recipesOf(flags);
  await startFor(context);
  const model = await loadModel(folder);
  try {
    const { arch, preprocessing } = model.spec;
    const requests = recipes.map((config) => ({ tap: config.tap, positions: config.features.positions }));
    const sizes = tapSizes(model, requests, preprocessing.crop);
    const settings = recipes.map((config, i) => planSetting(arch, sizes[i], config));
    const options = optionsOf(flags);
    const rates =
      flags.measure === true
        ? await measure(context, settings, (_, work) => work(model))
        : { ...STATED_RATES, source: 'not known for this network: --measure finds them' };
    print(context, settings, options, rates);
  } finally {
    model.dispose();
  }
}

/** `fact sae plan` */
export function registerPlan(sae: Command): void {
  verb(
    sae,
    'plan [model]',
    'what an autoencoder costs at the size of ImageNet: disk, memory, hours; without MODEL those that are published',
  )
    .option('-c, --config <file>', 'recipe (YAML); the options below win over it')
    .option('--tap <name>', 'stage of MODEL; several may be given', collect)
    .option('--latents <n>', 'number of concepts', parseCount)
    .option('--k <n>', 'concepts active at a position', parseCount)
    .option('--epochs <n>', 'passes over the features', parseCount)
    .option('--batch <n>', 'rows per update', parseCount)
    .option('--positions <choice>', 'positions kept per image: all, budget or a number', parsePositions)
    .option('--network <name>', 'published settings of this network only')
    .option('--images <n>', "images of the data set, held-out ones apart (default: ImageNet's)", parseCount)
    .option('--held-out <n>', 'images held out to measure accuracy on in training', parseWhole)
    .option('--validation <n>', 'images to evaluate on', parseWhole, IMAGENET.validation)
    .option('--max-gb <n>', 'most gigabytes (10^9 bytes) that a store may take', parseNumber)
    .option('--on-the-fly', 'without a store: the network in every epoch')
    .option('--measure', 'measure the rates on this machine: a few batches of each, minutes')
    .action(async (model: string | undefined, _options, command: Command) => {
      await runVerb(command, async (context) => {
        const flags = command.optsWithGlobals<PlanFlags>();
        if (flags.maxGb !== undefined && flags.maxGb <= 0)
          throw usageError('--max-gb is not above 0', 'Give a number such as --max-gb 100.');
        if (model === undefined && (flags.tap !== undefined || flags.config !== undefined))
          throw usageError('no network is given', 'Write fact sae plan MODEL --tap NAME ...');
        await (model === undefined ? planPublished(context, flags) : planModel(context, model, flags));
        return 0;
      });
    });
}
