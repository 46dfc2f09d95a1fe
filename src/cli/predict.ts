import type { Command } from 'commander';
import { listImages } from '../data/listImages.js';
import { startEngine } from '../engine/start.js';
import { Explainer } from '../explain/explainer.js';
import { filledGroup, groupSize } from '../explain/explainFiles.js';
import type { ClassScore } from '../explain/explanation.js';
import { ImageFiles } from '../explain/imageFiles.js';
import { defaultModelFolder } from '../explain/shipped.js';
import { percent } from '../explain/words.js';
import { loadModel } from '../models/loadModel.js';
import { type CliContext, runVerb, verb } from './context.js';
import { countOf } from './explain.js';

const DEFAULT_CLASSES = 5;

interface PredictFlags {
  readonly model?: string;
  readonly top?: string;
}

interface Prediction {
  readonly name: string;
  readonly ranking: readonly ClassScore[];
}

function textOf({ name, ranking }: Prediction): string {
  const width = Math.max(...ranking.map((c) => c.name.length));
  const rows = ranking.map(
    (c) => `  ${c.name.padEnd(width)}  ${percent(c.probability).padStart(6)}  logit ${c.logit.toFixed(3)}`,
  );
  return [name, ...rows].join('\n');
}

async function run(context: CliContext, paths: readonly string[], flags: PredictFlags): Promise<number> {
  const top = countOf('top', flags.top, DEFAULT_CLASSES);
  const listed = listImages(paths);
  const engine = await startEngine({
    engine: context.engine,
    compile: context.compile,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
  });
  const folder = flags.model ?? defaultModelFolder();
  const model = await loadModel(folder);
  const explainer = new Explainer(model, null);
  try {
    context.log.info(`network ${model.spec.arch} of ${folder}, engine ${engine.name}`);
    const files = new ImageFiles(listed, model.spec);
    const size = groupSize(...model.spec.preprocessing.crop, listed.length);
    const predictions: Prediction[] = [];
    for await (const group of files.groups(size)) {
      const scores = await explainer.scores(filledGroup(group, size));
      group.forEach((image, i) => {
        const prediction = { name: image.name, ranking: explainer.ranking(scores[i].alone, top) };
        predictions.push(prediction);
        if (!context.json) context.print(textOf(prediction), null);
      });
    }
    for (const skipped of files.skipped) context.log.warn(`skipped: ${skipped.message}`);
    if (context.json) context.print('', { images: predictions, skipped: files.skipped });
    return 0;
  } finally {
    explainer.dispose();
    model.dispose();
  }
}

/** `fact predict IMAGE...` */
export function register(program: Command): void {
  verb(program, 'predict', 'what the network sees in pictures: the likeliest classes with probabilities')
    .argument('<images...>', 'picture files, or folders of pictures')
    .option('--model <folder>', 'network (default: the one that comes with this program)')
    .option('--top <n>', `classes shown (default: ${DEFAULT_CLASSES})`)
    .action((images: string[], flags: PredictFlags, command: Command) =>
      runVerb(command, (context) => run(context, images, flags)),
    );
}
