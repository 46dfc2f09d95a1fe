import type { Command } from 'commander';
import { listImages } from '../data/listImages.js';
import type { Explanation } from '../explain/explanation.js';
import { formatLedger, worstLedger } from '../explain/ledger.js';
import { makeReport, reportImage } from '../explain/report/report.js';
import type { ReportImage } from '../explain/report/reportSchema.js';
import { groupSize } from '../explain/session/explainFiles.js';
import { type CliContext, runVerb, verb } from './context.js';
import { openForVerb, type SessionFlags, withSessionOptions } from './explainOptions.js';
import { runOverImages } from './imageRun.js';
import { packageVersion } from './version.js';

interface VerifyFlags extends SessionFlags {
  readonly out?: string;
}

interface Verified {
  readonly image: ReportImage;
  readonly worst: number;
  readonly text: string;
}

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
  const sizeOf = (height: number, width: number): number => groupSize(height, width, listed.length);
  const session = await openForVerb(context, flags, sizeOf);
  try {
    const { explainer, spec } = session;
    const about = session.context('verify', packageVersion());
    return await runOverImages<Verified>(context, {
      paths: listed,
      spec,
      size: sizeOf(...spec.preprocessing.crop),
      out: flags.out,
      header: { format: 'fact-verified', version: 1, context: about, autoencoders: session.fingerprints },
      doing: 'verifying',
      did: 'verified',
      compute: async (images, places) => {
        const explained = (await explainer.explain(images)).slice(0, places.length);
        return explained.map((e) => ({
          image: reportImage(e, null, false),
          worst: worstLedger(e.ledgers)?.relativeError ?? 0,
          text: ledgerText(e),
        }));
      },
      textOf: ({ text }) => text,
      finish: ({ results, skipped }) => {
        const images = results.map(({ image }) => image);
        const worst = results.reduce((largest, one) => Math.max(largest, one.worst), 0);
        const report = makeReport(about, images, skipped, worst);
        context.print(summaryLine(images, skipped.length, worst, explainer.tolerance), report);
        return report.summary.failed > 0 || skipped.length > 0 ? 1 : 0;
      },
    });
  } finally {
    await session.close();
  }
}

/** `fact verify IMAGE|FOLDER...` */
export function register(program: Command): void {
  const command = verb(
    program,
    'verify',
    'prove the sums: concepts add up to the logit, pixels to each concept; exit status 1 if not',
  ).argument('<images...>', 'picture files, or folders of pictures');
  withSessionOptions(command, 'concepts whose pixel sums are checked')
    .option('--out <file>', 'results as lines of JSON, as they come; an unfinished file is gone on with')
    .action((images: string[], flags: VerifyFlags, command: Command) =>
      runVerb(command, (context) => run(context, images, flags)),
    );
}
