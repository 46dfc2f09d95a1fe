/** Quantiles and histograms of plain numbers. */

export interface Quantiles {
  readonly q05: number;
  readonly q25: number;
  readonly median: number;
  readonly q75: number;
  readonly q95: number;
}

const PLACES = [0.05, 0.25, 0.5, 0.75, 0.95] as const;

function named(at: (q: number) => number): Quantiles {
  const [q05, q25, median, q75, q95] = PLACES.map(at);
  return { q05, q25, median, q75, q95 };
}

/** Quantile of rising values, linear between neighbours. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const place = q * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
}

/** Quantiles of at least one value. */
export function quantiles(values: ArrayLike<number>): Quantiles {
  const sorted = Float64Array.from(values).sort();
  return named((q) => quantile(sorted, q));
}

/** The same of whole numbers given by how often each occurs: `counts[n]` times n. At least one. */
export function quantilesOfCounts(counts: Float64Array): Quantiles {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const valueAt = (rank: number): number => {
    let seen = 0;
    return counts.findIndex((count) => {
      seen += count;
      return seen > rank;
    });
  };
  return named((q) => {
    const place = q * (total - 1);
    const low = Math.floor(place);
    const [a, b] = [valueAt(low), valueAt(Math.min(low + 1, total - 1))];
    return a + (place - low) * (b - a);
  });
}

/** Counts between edges; a value at an inner edge belongs to the bin on its right, at the last edge to the last bin. */
export interface Histogram {
  readonly edges: number[];
  readonly counts: number[];
}

/** Histogram with bins of one width from `from` to `to`; what lies outside is put into the outermost bins. */
export function histogram(values: Iterable<number>, from: number, to: number, bins: number): Histogram {
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.floor(((value - from) / (to - from)) * bins);
    counts[Math.min(bins - 1, Math.max(0, bin))]++;
  }
  return { edges: Array.from({ length: bins + 1 }, (_, i) => from + ((to - from) * i) / bins), counts };
}

/** The same with bins of one factor each; `from` above 0. */
export function logHistogram(values: Iterable<number>, from: number, to: number, bins: number): Histogram {
  const logs = Array.from(values, Math.log);
  const { edges, counts } = histogram(logs, Math.log(from), Math.log(to), bins);
  return { edges: edges.map((edge, i) => (i === 0 ? from : i === bins ? to : Math.exp(edge))), counts };
}
