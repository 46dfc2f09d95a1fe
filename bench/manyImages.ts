/**
 * A large folder with broken pictures, interrupted, killed and gone on with:
 * `npx tsx bench/manyImages.ts [--dist dist] [--images 10000] [--verb predict] [--photos FOLDER]`.
 *
 * Real processes of the built package: one that runs through, then one that gets Ctrl-C after 30 %, one that is killed
 * at 60 %, one that ends the work. Printed are exit statuses, what each said, and whether the results are the same.
 * Without --photos the pictures are drawn; one in a hundred is cut, empty or text.
 */
import { spawn } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { sha256 } from '../src/core/hash.js';
import { Random } from '../src/core/random.js';
import { listImages } from '../src/data/listImages.js';

const { values } = parseArgs({
  options: {
    dist: { type: 'string', default: 'dist' },
    images: { type: 'string', default: '10000' },
    verb: { type: 'string', default: 'predict' },
    photos: { type: 'string' },
  },
});
const total = Number(values.images);
const DISTINCT = 400;
const BROKEN_EVERY = 100;
const scratch = mkdtempSync(join(tmpdir(), 'fact-many-'));
const photos = join(scratch, 'photos');

/** Files to link to, drawn from a seed. */
async function drawnPictures(): Promise<string[]> {
  const folder = join(scratch, 'drawn');
  mkdirSync(folder);
  const random = new Random(2, 0);
  const paths: string[] = [];
  for (let i = 0; i < DISTINCT; i++) {
    const small = Uint8Array.from({ length: 6 * 6 * 3 }, () => random.integer(256));
    const path = join(folder, `${i}.jpg`);
    await sharp(small, { raw: { width: 6, height: 6, channels: 3 } })
      .resize(96, 72, { kernel: 'cubic', fit: 'fill' })
      .jpeg()
      .toFile(path);
    paths.push(path);
  }
  return paths;
}

/** Fills the folder; how many pictures are broken. */
async function fill(): Promise<number> {
  const sources = values.photos === undefined ? await drawnPictures() : listImages([resolve(values.photos)]);
  mkdirSync(photos);
  let broken = 0;
  for (let i = 0; i < total; i++) {
    const source = sources[i % sources.length];
    const path = join(photos, `${String(i).padStart(5, '0')}.jpg`);
    if (i % BROKEN_EVERY !== BROKEN_EVERY - 1) {
      if (values.photos === undefined) linkSync(source, path);
      else writeFileSync(path, readFileSync(source));
      continue;
    }
    const kinds = [readFileSync(source).subarray(0, 400), Buffer.alloc(0), Buffer.from('not a picture')];
    writeFileSync(path, kinds[broken++ % kinds.length]);
  }
  return broken;
}

interface Ended {
  readonly status: string;
  readonly seconds: number;
  readonly text: string;
}

/** Runs the verb; sends `signal` when the file holds `lines` lines. */
function run(out: string, signal?: NodeJS.Signals, lines = 0): Promise<Ended> {
  const start = performance.now();
  const main = join(import.meta.dirname, 'startupMain.mjs');
  const child = spawn(process.execPath, [main, resolve(values.dist), values.verb, photos, '--out', out], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, FACT_CACHE: join(scratch, 'cache') },
  });
  let text = '';
  child.stderr.on('data', (piece) => {
    text += piece;
  });
  const timer = setInterval(() => {
    const file = existsSync(out) ? out : join(`${out}.partial`, 'images.jsonl');
    if (signal === undefined || !existsSync(file) || countLines(file) < lines) return;
    clearInterval(timer);
    child.kill(signal);
  }, 200);
  return new Promise((done) =>
    child.once('close', (code, killedBy) => {
      clearInterval(timer);
      done({ status: String(code ?? killedBy), seconds: (performance.now() - start) / 1000, text });
    }),
  );
}

function countLines(path: string): number {
  return readFileSync(path).reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
}

function tell(name: string, { status, seconds, text }: Ended): void {
  const skipped = text.match(/^warning: skipped: /gm)?.length ?? 0;
  const rest = text
    .split('\n')
    .filter((line) => line.length > 0 && !line.startsWith('warning: skipped: '))
    .map((line) => `    ${line}`);
  console.log(
    [`${name}: exit ${status}, ${seconds.toFixed(1)} s, ${skipped} pictures named as broken`, ...rest].join(
      '\n',
    ),
  );
}

try {
  const broken = await fill();
  console.log(`fact ${values.verb} of ${total} pictures, ${broken} of them broken`);
  const [whole, out] = [join(scratch, 'whole.jsonl'), join(scratch, 'out.jsonl')];
  tell('through', await run(whole));
  tell('Ctrl-C after 30 %', await run(out, 'SIGINT', 0.3 * total));
  console.log(`    ${countLines(out) - 1} results on disk`);
  tell('killed after 60 %', await run(out, 'SIGKILL', 0.6 * total));
  console.log(`    ${countLines(out) - 1} results on disk`);
  tell('to the end', await run(out));
  const [a, b] = [whole, out].map((path) => sha256(readFileSync(path)));
  console.log(
    `${countLines(whole) - 1} results; the two files are ${a === b ? 'the same, byte for byte' : 'NOT THE SAME'}`,
  );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
