import { argMax } from '../../../core/argMax.js';
import type { PassImage } from '../../../explain/concepts/pass.js';
import { countCorrect } from '../../accuracy.js';
import type { SaeEvaluation } from './evaluationSchema.js';
import { restoreInto, type SavedNumbers, type Statistic } from './statistic.js';

/** Right answers of the network alone and spliced, and images whose answer stays the same. */
export class AccuracyCounts implements Statistic {
  /** Images, top 1, top 5, spliced top 1, spliced top 5, same answer. */
  private readonly counts = new Float64Array(6);

  get images(): number {
    return this.counts[0];
  }

  add({
    logits,
    spliced,
    label,
    predicted,
  }: Pick<PassImage, 'logits' | 'spliced' | 'label' | 'predicted'>): void {
    const right = (scores: Float32Array, k: number): number =>
      countCorrect(scores, [label], scores.length, k);
    this.counts[0]++;
    this.counts[1] += right(logits, 1);
    this.counts[2] += right(logits, 5);
    this.counts[3] += right(spliced, 1);
    this.counts[4] += right(spliced, 5);
    if (argMax(logits) === predicted) this.counts[5]++;
  }

  save(): SavedNumbers {
    return { accuracy: this.counts };
  }

  restore(saved: SavedNumbers): void {
    restoreInto(this.save(), saved);
  }

  result(): SaeEvaluation['accuracy'] {
    const [images, top1, top5, splicedTop1, splicedTop5, same] = Array.from(this.counts);
    const percent = (count: number): number => (100 * count) / images;
    return {
      top1Percent: percent(top1),
      top5Percent: percent(top5),
      splicedTop1Percent: percent(splicedTop1),
      splicedTop5Percent: percent(splicedTop5),
      agreementPercent: percent(same),
    };
  }
}
