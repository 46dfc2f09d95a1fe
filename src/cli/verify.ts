import type { Command } from 'commander';
import { showProgress } from '../core/progress.js';
import { listImages } from '../data/listImages.js';
import { DEFAULT_TOP } from '../explain/explainer.js';
import { explainFiles, groupSize } from '../explain/explainFiles.js';
import type { Explanation } from '../explain/explanation.js';
import { ImageFiles } from '../explain/imageFiles.js';
import { DEFAULT_TOLERANCE, formatLedger, worstLedger } from '../explain/ledger.js';
import { makeReport, reportImage } from '../explain/report.js';
import type { ReportImage } from '../explain/reportSchema.js';
import { type CliContext, collect, runVerb, verb } from './context.js';
import { type ExplainFlags, openForVerb } from './explain.js';
import { packageVersion } from './version.js';

type VerifyFlags = Pick<ExplainFlags, 'model' | 'sae' | 'tolerance' | 'top'>;

/** The sums of one image as text. */
function ledgerText(e: Explanation): string {
  return [`${e.image.name}: ${e.predicted.name}`, ...e.ledgers.flatMap(formatLedger)].join('\n');
}

function summaryLine(
  images: readonly ReportImage[],
  skipped: number,
  worst: number,
  tolerance: number,
): string {
  const ledgers = images.flatMap((image) => image.ledgers);
  const failed = ledgers.filter((ledger) => !ledger.holds).length;
  const verdict = failed === 0 ? 'all sums hold' : `${failed} of ${ledgers.length} sums DO NOT HOLD`;
  const rest = skipped > 0 ? `, ${skipped} skipped` : '';
  return `${images.length} images${rest}, ${ledgers.length} sums: ${verdict}; largest relative error ${worst.toExponential(1)}, allowed ${tolerance.toExponential(0)}`;
}

async function run(context: CliContext, paths: readonly string[], flags: VerifyFlags): Promise<number> {
  const listed = listImages(paths);
  const session = await openForVerb(context, flags);
  try {
    const { explainer, model } = session;
    const files = new ImageFiles(listed, model.spec);
    const size = groupSize(...model.spec.preprocessing.crop, listed.length);
    const progress = showProgress('verifying', listed.length, 'images', context.quiet);
    const images: ReportImage[] = [];
    let worst = 0;
    try {
      for await (const e of explainFiles(explainer, files, size, {})) {
        images.push(reportImage(e, null, false));
        worst = Math.max(worst, worstLedger(e.ledgers)?.relativeError ?? 0);
        if (!context.json) context.print(ledgerText(e), null);
        progress.update(images.length + files.skipped.length);
      }
    } finally {
      progress.stop();
    }
    for (const skipped of files.skipped) context.log.warn(`skipped: ${skipped.message}`);
    const report = makeReport(session.context('verify', packageVersion()), images, files.skipped, worst);
    context.print(summaryLine(images, files.skipped.length, worst, explainer.tolerance), report);
    return report.summary.failed > 0 ? 1 : 0;
  } finally {
    session.dispose();
  }
}

/** `fact verify IMAGE|FOLDER...` */
export function register(program: Command): void {
  verb(
    program,
    'verify',
    'prove the sums: concepts add up to the logit, pixels to each concept; exit status 1 if not',
  )
    .argument('<images...>', 'picture files, or folders of pictures')
    .option('--model <folder>', 'network (default: the one that comes with this program)')
    .option(
      '--sae <folder>',
      'autoencoder; twice for traces between two taps (default: those that lie with the network)',
      collect,
    )
    .option('--top <n>', `concepts whose pixel sums are checked (default: ${DEFAULT_TOP})`)
    .option('--tolerance <number>', `largest relative error of a sum (default: ${DEFAULT_TOLERANCE})`)
    .action((images: string[], flags: VerifyFlags, command: Command) =>
      runVerb(command, (context) => run(context, images, flags)),
    );
}
