import { type Command, Option } from 'commander';
import type { Split } from '../../data/imageSource.js';
import { defaultModelFolder, type FoundSae, openSaes } from '../../explain/session/shipped.js';
import type { BcosModel } from '../../models/bcosModel.js';
import { loadModel } from '../../models/loadModel.js';
import { type CliContext, collect, parseCount, usageError } from '../context.js';
import { parseWhole, splitOption, startFor } from '../sae/options.js';

/** Options that the verbs of `fact concepts` share: a network, its autoencoders, a data set. */
export interface ConceptsFlags {
  readonly model?: string;
  readonly sae?: readonly string[];
  readonly dataDir?: string;
  readonly split?: Split;
  readonly imageBatch: number;
  readonly workers: number;
}

/** Adds the options of a network and its autoencoders. */
export function withNetwork(command: Command, saeMeaning: string): Command {
  return command
    .option('--model <folder>', 'network (default: the one that comes with this program)')
    .option('--sae <folder>', saeMeaning, collect);
}

/** Adds the options of a data set that is gone through once. */
export function withData(command: Command): Command {
  return command
    .option('--data-dir <folder>', 'data set: class folders, tar shards, or a folder of pictures')
    .addOption(splitOption())
    .addOption(new Option('--image-batch <n>', 'images per batch').argParser(parseCount).default(32))
    .addOption(new Option('--workers <n>', 'decoding threads').argParser(parseWhole).default(1));
}

/** A loaded network with the autoencoder whose concepts are asked for, and an earlier one (null: none). */
export interface OpenedConcepts {
  readonly model: BcosModel;
  readonly modelFolder: string;
  readonly concepts: FoundSae;
  readonly early: FoundSae | null;
  dispose(): void;
}

/**
 * Starts the engine and loads what the options name: without --sae the autoencoders that lie with the network; of two,
 * the later gives the concepts. Throws FactError E_USAGE where there is none, and the errors of loading. Caller disposes.
 */
export async function openConcepts(
  context: CliContext,
  flags: Pick<ConceptsFlags, 'model' | 'sae'>,
): Promise<OpenedConcepts> {
  const modelFolder = flags.model ?? defaultModelFolder();
  await startFor(context);
  const model = await loadModel(modelFolder);
  try {
    const { concepts, traces } = await openSaes(model, modelFolder, flags.sae ?? []);
    if (concepts === null)
      throw usageError(
        `no autoencoder lies with the network ${modelFolder}`,
        'Name one with --sae FOLDER, or train one with `fact sae train`.',
      );
    const { arch } = model.spec;
    const { latents, tap } = concepts.sae;
    context.log.info(`network ${arch} of ${modelFolder}, ${latents} concepts at ${tap}`);
    return {
      model,
      modelFolder,
      concepts,
      early: traces,
      dispose: () => {
        concepts.sae.dispose();
        traces?.sae.dispose();
        model.dispose();
      },
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
