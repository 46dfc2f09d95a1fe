/*
 * Loss of the TopK autoencoder in float64 by plain loops, written from the definition: the truth of aux.test.ts. With a
 * name of a known mistake it makes that mistake, so that a test can show that its case tells right from wrong.
 */

/** Inputs: x [rows][C], encoder [K][C], directions [K][C] (decoder columns), rows since each latent last fired [K]. */
export interface AuxCase {
  readonly x: readonly (readonly number[])[];
  readonly encoder: readonly (readonly number[])[];
  readonly directions: readonly (readonly number[])[];
  readonly counters: readonly number[];
}

export interface AuxSettings {
  readonly k: number;
  readonly auxAlpha: number;
  readonly auxK: number;
  readonly deadAfterRows: number;
}

/** The mistakes that this file can make. */
export type Mistake =
  | 'dead are compared before the counters move'
  | 'strictly above the threshold'
  | 'counters count updates'
  | 'a selected zero counts as fired'
  | 'values after top-k'
  | 'top-k among all'
  | 'indices of the packed dead'
  | 'more slots than dead'
  | 'residual not detached'
  | 'plain mean'
  | 'variance of the input'
  | 'no denominator'
  | 'denominator not detached'
  | 'quotient unguarded'
  | 'scaled by the dead share'
  | 'only logged'
  | 'bias in the auxiliary reconstruction'
  | 'unchosen instead of dead'
  | 'half precision';

export interface AuxTruth {
  readonly loss: number;
  readonly l2: number;
  readonly aux: number;
  readonly numerator: number;
  readonly dead: number;
  readonly counters: number[];
  /** [K * C], row-major. */
  readonly encoderGrad: number[];
  readonly directionsGrad: number[];
}

type Pair = { readonly j: number; readonly value: number };

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((s, v, i) => s + v * b[i], 0);

/** The `count` largest, earlier ones first among equals. */
function largest(pairs: readonly Pair[], count: number): Pair[] {
  return [...pairs].sort((a, b) => b.value - a.value || a.j - b.j).slice(0, count);
}

/** Nearest number with 11 significant bits, as float16 has (its range left aside). */
function half(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 10);
  return Math.round(value / step) * step;
}

/** Sum over rows of pairs times directions: the vectors that a code writes, [rows][C]. */
function written(codes: readonly Pair[][], directions: AuxCase['directions'], channels: number): number[][] {
  return codes.map((pairs) =>
    Array.from({ length: channels }, (_, c) =>
      pairs.reduce((s, { j, value }) => s + value * directions[j][c], 0),
    ),
  );
}

/** Mean over rows of the squared distance to the mean row. */
function varianceOf(rows: readonly number[][]): number {
  const mean = rows[0].map((_, c) => rows.reduce((s, row) => s + row[c], 0) / rows.length);
  return rows.reduce((s, row) => s + row.reduce((t, v, c) => t + (v - mean[c]) ** 2, 0), 0) / rows.length;
}

export function auxTruth(given: AuxCase, settings: AuxSettings, mistake?: Mistake): AuxTruth {
  const is = (name: Mistake): boolean => mistake === name;
  const { encoder, directions } = given;
  const { k, auxAlpha, auxK, deadAfterRows } = settings;
  const x = given.x.map((row) => [...row]);
  const [rows, channels, latents] = [x.length, x[0].length, encoder.length];

  const positive: Pair[][] = x.map((row) =>
    encoder.map((weights, j) => ({ j, value: Math.max(0, dot(row, weights)) })),
  );
  const codes = positive.map((pairs) => largest(pairs, k));
  const reconstruction = written(codes, directions, channels);
  const residual = x.map((row, p) => row.map((v, c) => v - reconstruction[p][c]));

  const fired = new Set<number>();
  for (const { j, value } of codes.flat())
    if (value > 0 || is('a selected zero counts as fired')) fired.add(j);
  const counters = given.counters.map((n, j) =>
    fired.has(j) ? 0 : n + (is('counters count updates') ? 1 : rows),
  );
  const compared = is('dead are compared before the counters move') ? given.counters : counters;
  let dead = compared.flatMap((n, j) =>
    (is('strictly above the threshold') ? n > deadAfterRows : n >= deadAfterRows) ? [j] : [],
  );
  if (is('unchosen instead of dead')) dead = counters.flatMap((_, j) => (fired.has(j) ? [] : [j]));

  const slots = is('more slots than dead') ? auxK : Math.min(auxK, dead.length);
  const auxCodes: Pair[][] = positive.map((pairs, p) => {
    const source = is('values after top-k')
      ? pairs.map(({ j, value }) => ({ j, value: codes[p].some((pair) => pair.j === j) ? value : 0 }))
      : pairs;
    if (is('top-k among all')) return largest(source, slots).filter(({ j }) => dead.includes(j));
    const among = source.map((pair) => (dead.includes(pair.j) ? pair : { ...pair, value: -Infinity }));
    const chosen = largest(among, slots);
    return is('indices of the packed dead')
      ? chosen.map(({ j, value }) => ({ j: dead.indexOf(j), value }))
      : chosen;
  });
  const bias = x[0].map((_, c) =>
    is('bias in the auxiliary reconstruction') ? x.reduce((s, row) => s + row[c], 0) / rows : 0,
  );
  const rounded = is('half precision') ? half : (v: number): number => v;
  const difference = written(auxCodes, directions, channels).map((row, p) =>
    row.map((v, c) => rounded(v + bias[c]) - rounded(residual[p][c])),
  );
  const perRow = rows * (is('plain mean') ? channels : 1);
  const l2 = residual.flat().reduce((s, v) => s + v * v, 0) / rows;
  const numerator = dead.length === 0 ? 0 : difference.flat().reduce((s, v) => s + v * v, 0) / perRow;
  const variance = varianceOf(is('variance of the input') ? x : residual);
  const isGuarded =
    !is('quotient unguarded') && variance <= 1e-12 * (x.flat().reduce((s, v) => s + v * v, 0) / rows);
  let weight = is('no denominator') ? 1 : isGuarded ? 0 : 1 / variance;
  if (is('scaled by the dead share')) weight *= Math.min(1, dead.length / auxK);
  const aux = dead.length === 0 ? 0 : numerator * weight;

  // Gradients: g and h are those of the reconstruction and of the auxiliary reconstruction.
  const encoderGrad = new Array<number>(latents * channels).fill(0);
  const directionsGrad = new Array<number>(latents * channels).fill(0);
  const pullBack = (code: readonly Pair[][], gradient: readonly number[][]): void => {
    code.forEach((pairs, p) => {
      for (const { j, value } of pairs) {
        const du = value > 0 ? dot(gradient[p], directions[j]) : 0;
        for (let c = 0; c < channels; c++) {
          directionsGrad[j * channels + c] += value * gradient[p][c];
          encoderGrad[j * channels + c] += du * x[p][c];
        }
      }
    });
  };
  pullBack(
    codes,
    residual.map((row) => row.map((v) => (-2 / rows) * v)),
  );
  if (dead.length > 0 && !is('only logged')) {
    const h = difference.map((row) => row.map((v) => (2 * auxAlpha * weight * v) / perRow));
    pullBack(auxCodes, h);
    if (is('residual not detached')) pullBack(codes, h);
    if (is('denominator not detached')) {
      const mean = residual[0].map((_, c) => residual.reduce((s, row) => s + row[c], 0) / rows);
      const scale = (2 * auxAlpha * numerator * weight ** 2) / rows;
      pullBack(
        codes,
        residual.map((row) => row.map((v, c) => scale * (v - mean[c]))),
      );
    }
  }
  return {
    loss: l2 + auxAlpha * aux,
    l2,
    aux,
    numerator,
    dead: dead.length,
    counters,
    encoderGrad,
    directionsGrad,
  };
}
