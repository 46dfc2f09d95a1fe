import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DecodedImage } from '../../src/data/decode.js';
import { evalTransform, toUnitRange } from '../../src/data/evalTransform.js';
import { shorterSideSize } from '../../src/data/resize.js';
import type { GoldenCheck, GoldenSuite } from './checks.js';
import { goldenTolerance, noiseImage, readGoldenSafetensors, relativeError } from './format.js';

interface PreprocessCase {
  readonly id: string;
  readonly height: number;
  readonly width: number;
  readonly resize: number;
  readonly crop: number;
  readonly resized: readonly [number, number];
  readonly caseSeed: number;
  readonly octaves: readonly (readonly [number, number])[];
  readonly normalisedFirst: readonly number[];
}

/** Mean and deviation of the standard networks' input. */
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

function planesToPixels(planes: ArrayLike<number>, height: number, width: number): Uint8Array {
  return Uint8Array.from(
    { length: height * width * 3 },
    (_, i) => planes[(i % 3) * height * width + Math.floor(i / 3)],
  );
}

/** Grey levels are compared exactly: the tolerance is 0. */
function checks(folder: string, c: PreprocessCase): GoldenCheck[] {
  const tensors = readGoldenSafetensors(join(folder, 'bcos/preprocess.safetensors'));
  const input = tensors[`${c.id}:in`].data as Uint8Array;
  const image: DecodedImage = {
    width: c.width,
    height: c.height,
    data: planesToPixels(input, c.height, c.width),
  };
  const out = evalTransform(image, { resize: c.resize, crop: [c.crop, c.crop] });
  const expected = planesToPixels(tensors[`${c.id}:out`].data as Uint8Array, c.crop, c.crop);
  const [width, height] = shorterSideSize(c.width, c.height, c.resize);
  const centre = (Math.floor(c.crop / 2) * c.crop + Math.floor(c.crop / 2)) * 3;
  const unit = toUnitRange(out).subarray(centre, centre + 3);
  return [
    {
      tensor: 'in',
      error: relativeError(noiseImage(0, [3, c.height, c.width], c.caseSeed, c.octaves), input),
      tolerance: 0,
    },
    { tensor: 'resized', error: relativeError([height, width], c.resized), tolerance: 0 },
    { tensor: 'out', error: relativeError(out, expected), tolerance: 0 },
    {
      tensor: 'normalisedFirst',
      error: relativeError(
        Array.from(unit, (v, i) => (v - MEAN[i]) / DEVIATION[i]),
        c.normalisedFirst,
      ),
      tolerance: goldenTolerance(),
    },
  ];
}

export const preprocessSuite: GoldenSuite = {
  name: 'bcos/preprocess',
  part: 'bcos/preprocess.json',
  cases: (folder) =>
    (JSON.parse(readFileSync(join(folder, 'bcos/preprocess.json'), 'utf8')).cases as PreprocessCase[]).map(
      (c) => ({ name: c.id, run: async () => checks(folder, c) }),
    ),
};
