/*
 * The sums of a concept graph, hop by hop: each image has a ledger for every node that a hop explains; a hop keeps how many
 * there were, the worst of them and its image, and the ledger of the means.
 */
import { formLedger, sumTerms } from '../../ledger.js';

/** One hop: what stands at `to` is the sum of what stands at `from`. */
export interface GraphHop {
  /** "class" or a tap; a tap or "pixels". */
  readonly to: string;
  readonly from: string;
  /** What is added up: contributions to the target, or presences. */
  readonly unit: 'logits' | 'presence';
  /** Sums checked over all images. */
  readonly sums: number;
  /** Largest relative error (residual / sum of |terms|) of an image's sums, and that image; null: not finite. */
  readonly worst: number | null;
  readonly worstImage: string | null;
  /** Largest relative error of the sums of means; null: not finite. */
  readonly ofMeans: number | null;
  readonly tolerance: number;
  readonly holds: boolean;
}

/** Terms of a sum: the many, and those of constants. */
export interface HopTerms {
  readonly left: number;
  readonly terms: ArrayLike<number>;
  readonly constants: ArrayLike<number>;
  /** Sum of the absolute values of what `terms` are sums of; default: of `terms` themselves. */
  readonly absolute?: number;
}

/** Relative error of a sum. */
export function hopError({ left, terms, constants, absolute }: HopTerms): number {
  const ledger = formLedger({
    side: 'concepts',
    subject: '',
    left,
    terms,
    termsName: '',
    constants: Array.from(constants, (value) => ({ name: '', value })),
  });
  if (absolute === undefined || ledger.residual === 0) return ledger.relativeError;
  const whole = absolute + sumTerms(constants).absolute;
  return (ledger.relativeError * ledger.absoluteSum) / whole;
}

/** A hop over images as they come. */
export class HopCheck {
  private sums = 0;
  private worst = 0;
  private worstImage: string | null = null;
  private means = 0;

  constructor(
    readonly to: string,
    readonly from: string,
    readonly unit: GraphHop['unit'],
    private readonly tolerance: number,
  ) {}

  /** A sum of one image. */
  add(image: string, terms: HopTerms): void {
    const error = hopError(terms);
    this.sums++;
    if (error > this.worst || this.worstImage === null) {
      this.worst = error;
      this.worstImage = image;
    }
  }

  /** A sum of means. */
  addMean(terms: HopTerms): void {
    this.means = Math.max(this.means, hopError(terms));
  }

  result(): GraphHop {
    const { to, from, unit, sums, worst, worstImage, means, tolerance } = this;
    const holds = worst <= tolerance && means <= tolerance;
    const finite = (error: number): number | null => (Number.isFinite(error) ? error : null);
    return {
      to,
      from,
      unit,
      sums,
      worst: finite(worst),
      worstImage,
      ofMeans: finite(means),
      tolerance,
      holds,
    };
  }
}

/** A hop's error as a number: infinite where it is not finite. */
export function hopSize(error: number | null): number {
  return error ?? Number.POSITIVE_INFINITY;
}

/** The hop whose sums hold worst; undefined of none. */
export function worstHop(hops: readonly GraphHop[]): GraphHop | undefined {
  return hops.reduce<GraphHop | undefined>(
    (worst, hop) => (worst === undefined || hopSize(hop.worst) > hopSize(worst.worst) ? hop : worst),
    undefined,
  );
}
