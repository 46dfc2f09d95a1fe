import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { FactError } from '../core/errors.js';
import { startEngine } from '../engine/start.js';
import { loadConfig, parseConfig } from '../train/config/load.js';
import type { TrainConfig } from '../train/config/schema.js';
import { type TrainResult, train } from '../train/train.js';
import { type CliContext, collect, runVerb, usageError, verb } from './context.js';
import { withSignals } from './signals.js';

interface TrainFlags {
  readonly config?: string;
  readonly set: readonly string[];
  readonly dataDir?: string;
  readonly out?: string;
  readonly resume?: boolean;
}

/** The recipe of the command line; with --resume and without --config the one that the run's folder keeps. */
function recipeOf(flags: TrainFlags, out: string): TrainConfig {
  if (flags.config !== undefined) return loadConfig(flags.config, flags.set);
  const kept = join(out, 'config.yaml');
  if (flags.resume !== true) {
    throw usageError('no recipe is given', 'Add -c CONFIG.yaml, for example configs/cifar10/resnet20.yaml.');
  }
  if (!existsSync(kept)) {
    throw new FactError({
      code: 'E_CHECKPOINT_MISSING',
      message: `${out} holds no run to resume`,
      remedy: 'Check --out, or start a new run with -c CONFIG.yaml and without --resume.',
    });
  }
  return parseConfig(readFileSync(kept, 'utf8'), kept, flags.set);
}

function textOf(result: TrainResult): string {
  const best =
    result.best === null ? '' : `, best top-1 ${result.best.top1.toFixed(2)} % in epoch ${result.best.epoch}`;
  return result.status === 'done'
    ? `trained ${result.epochs} epochs${best}; the network lies in ${result.model}`
    : `stopped after ${result.steps} steps; go on with --resume --out ${result.folder}`;
}

async function run(context: CliContext, flags: TrainFlags): Promise<number> {
  const out = flags.out ?? 'runs/train';
  const config = recipeOf(flags, out);
  const engine = await startEngine({
    engine: context.engine,
    compile: context.compile,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
  });
  context.log.info(`engine ${engine.name}: ${engine.reason}`);
  return withSignals(async (signal, exitStatus) => {
    const result = await train(config, {
      out,
      signal,
      log: context.log,
      progress: !context.quiet,
      resume: flags.resume === true,
      ...(context.threads === undefined ? {} : { threads: context.threads }),
      ...(flags.dataDir === undefined ? {} : { dataDir: flags.dataDir }),
    });
    context.print(textOf(result), result);
    return result.status === 'done' ? 0 : exitStatus();
  });
}

/** `fact train`: trains a network by a recipe. */
export function register(program: Command): void {
  verb(program, 'train', 'train a network by a recipe')
    .option('-c, --config <file>', 'recipe (YAML); with --resume the run keeps its own')
    .option(
      '--set <key=value>',
      'replaces a value of the recipe, e.g. optimizer.rate=0.001; may be repeated',
      collect,
      [],
    )
    .option('--data-dir <folder>', 'data set: class folders or tar shards')
    .option('--out <folder>', 'folder of the run', 'runs/train')
    .option('--resume', 'go on with the run in --out')
    .action(async (_options, command: Command) => {
      await runVerb(command, (context) => run(context, command.optsWithGlobals<TrainFlags>()));
    });
}
