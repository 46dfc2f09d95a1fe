import type { Command } from 'commander';
import { saeFromFactCheckpoint } from '../../explain/factSae.js';
import { matchSae, saveSae } from '../../explain/sae.js';
import { loadModel } from '../../models/loadModel.js';
import { type CliContext, runVerb, verb } from '../context.js';
import { dtypeOption, startFor } from './options.js';

interface ImportFlags {
  readonly tap: string;
  readonly model?: string;
  readonly dtype: 'float32' | 'float16';
}

async function runImport(
  context: CliContext,
  source: string,
  target: string,
  flags: ImportFlags,
): Promise<number> {
  await startFor(context);
  const model = flags.model === undefined ? null : await loadModel(flags.model);
  const sae = await saeFromFactCheckpoint(source, {
    tap: flags.tap,
    arch: model?.spec.arch ?? null,
    modelHash: model?.spec.weightsHash ?? null,
  });
  try {
    if (model !== null) matchSae(model, sae);
    await saveSae(target, sae, { dtype: flags.dtype });
    const { latents, channels, k, tap } = sae;
    context.print(`${latents} concepts of ${channels} channels, k = ${k}, lie in ${target}`, {
      latents,
      channels,
      k,
      tap,
      target,
    });
  } finally {
    sae.dispose();
    model?.dispose();
  }
  return 0;
}

/** `fact sae import` */
export function registerImport(sae: Command): void {
  verb(sae, 'import <checkpoint> <folder>', "convert an autoencoder from FaCT's released layout (.pt)")
    .requiredOption('--tap <name>', 'stage of the network that it belongs to')
    .option('--model <folder>', 'network that it belongs to: checked and recorded')
    .addOption(dtypeOption().default('float32'))
    .action(async (source: string, target: string, _options, command: Command) => {
      await runVerb(command, (context) =>
        runImport(context, source, target, command.optsWithGlobals<ImportFlags>()),
      );
    });
}
