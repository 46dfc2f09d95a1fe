import type { Command } from 'commander';
import { listImages } from '../data/listImages.js';
import type { ClassScore } from '../explain/explanation.js';
import { percent } from '../explain/report/words.js';
import { groupSize } from '../explain/session/explainFiles.js';
import { openSession } from '../explain/session/session.js';
import { type CliContext, runVerb, verb } from './context.js';
import { countOf, type SessionFlags, sharedOptions, withModelOptions } from './explainOptions.js';
import { runOverImages } from './imageRun.js';
import { packageVersion } from './version.js';

const DEFAULT_CLASSES = 5;

interface PredictFlags extends Pick<SessionFlags, 'model' | 'cache' | 'top'> {
  readonly out?: string;
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
  const sizeOf = (height: number, width: number): number => groupSize(height, width, listed.length);
  const session = await openSession({
    ...sharedOptions(context, flags),
    saes: null,
    first: { program: 'scores', count: sizeOf },
  });
  try {
    const { explainer, spec } = session;
    context.log.info(
      `network ${spec.arch} of ${session.modelFolder}, engine ${session.engine}${session.isStored ? ', compiled before' : ''}`,
    );
    const { model } = session.context('explain', packageVersion());
    return await runOverImages<Prediction>(context, {
      paths: listed,
      spec,
      size: sizeOf(...spec.preprocessing.crop),
      out: flags.out,
      header: {
        format: 'fact-predictions',
        version: 1,
        packageVersion: packageVersion(),
        engine: session.engine,
        model,
        autoencoders: session.fingerprints,
        top,
      },
      doing: 'predicting',
      did: 'done',
      compute: async (images, places) => {
        const scores = await explainer.scores(images);
        return places.map((_, i) => ({
          name: images[i].name,
          ranking: explainer.ranking(scores[i].alone, top),
        }));
      },
      textOf,
      finish: ({ results, skipped }) => {
        if (context.json) context.print('', { images: results, skipped });
        return skipped.length > 0 ? 1 : 0;
      },
    });
  } finally {
    await session.close();
  }
}

/** `fact predict IMAGE...` */
export function register(program: Command): void {
  const command = verb(
    program,
    'predict',
    'what the network sees in pictures: the likeliest classes with probabilities',
  ).argument('<images...>', 'picture files, or folders of pictures');
  withModelOptions(command)
    .option('--top <n>', `classes shown (default: ${DEFAULT_CLASSES})`)
    .option('--out <file>', 'results as lines of JSON, as they come; an unfinished file is gone on with')
    .action((images: string[], flags: PredictFlags, command: Command) =>
      runVerb(command, (context) => run(context, images, flags)),
    );
}
