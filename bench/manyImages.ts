/**
 * A large data set with broken pictures; each verb interrupted, killed and gone on with:
 * `npx tsx bench/manyImages.ts [--dist dist] [--images 10000] [--verbs predict,features,train] [--photos FOLDER]
 * [--keep]`. Verbs: see faultJobs.ts; `all` are all of them. The network is a small random one: decoding takes longest.
 *
 * Real processes of the built package: one that runs through, then one that gets Ctrl-C after 30 % of that time, one that
 * goes on and is killed after another 30 %, one that ends the work. Printed are exit statuses, what each said, and whether
 * the results are the same, byte for byte. Without --photos the pictures are drawn; one in a hundred is cut, empty or text.
 */
import { spawn } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { Random } from '../src/core/random.js';
import { listImages } from '../src/data/listImages.js';
import { drawNetwork, type FaultJob, faultJobs, resultHashes } from './faultJobs.js';

const { values } = parseArgs({
  options: {
    dist: { type: 'string', default: 'dist' },
    images: { type: 'string', default: '10000' },
    verbs: { type: 'string', default: 'predict' },
    photos: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const total = Number(values.images);
const DISTINCT = 400;
const BROKEN_EVERY = 100;
const CLASSES = 50;
/** Lines of what a process said that are printed, from its start and its end. */
const LINES_SHOWN = 5;
const scratch = mkdtempSync(join(tmpdir(), 'fact-many-'));
const data = join(scratch, 'data');

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

/** Fills the class folders; how many pictures are broken. */
async function fill(): Promise<number> {
  const sources = values.photos === undefined ? await drawnPictures() : listImages([resolve(values.photos)]);
  for (let c = 0; c < CLASSES; c++)
    mkdirSync(join(data, `class${String(c).padStart(2, '0')}`), { recursive: true });
  let broken = 0;
  for (let i = 0; i < total; i++) {
    const source = sources[i % sources.length];
    const folder = join(data, `class${String(i % CLASSES).padStart(2, '0')}`);
    const path = join(folder, `${String(i).padStart(5, '0')}.jpg`);
    // Every hundredth, and not always of the same class.
    if (i % BROKEN_EVERY !== Math.floor(i / BROKEN_EVERY) % BROKEN_EVERY) {
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

/** Runs `fact` with these words; sends `signal` after so many seconds. */
function run(words: readonly string[], signal?: NodeJS.Signals, after = 0): Promise<Ended> {
  const start = performance.now();
  const main = join(import.meta.dirname, 'startupMain.mjs');
  const child = spawn(process.execPath, [main, resolve(values.dist), ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, FACT_CACHE: join(scratch, 'cache') },
  });
  let text = '';
  child.stderr.on('data', (piece) => {
    text += piece;
  });
  const timer = signal === undefined ? undefined : setTimeout(() => child.kill(signal), after * 1000);
  return new Promise((done) =>
    child.once('close', (code, killedBy) => {
      clearTimeout(timer);
      done({ status: String(code ?? killedBy), seconds: (performance.now() - start) / 1000, text });
    }),
  );
}

function tell(name: string, { status, seconds, text }: Ended): void {
  const skipped = text.match(/skipped: /g)?.length ?? 0;
  const rest = text.split('\n').filter((line) => line.trim().length > 0 && !line.includes('skipped: '));
  const shown =
    rest.length <= 2 * LINES_SHOWN
      ? rest
      : [...rest.slice(0, LINES_SHOWN), '...', ...rest.slice(-LINES_SHOWN)];
  console.log(
    [
      `  ${name}: exit ${status}, ${seconds.toFixed(1)} s, ${skipped} pictures named as broken`,
      ...shown.map((line) => `      ${line.replaceAll(scratch, '')}`),
    ].join('\n'),
  );
}

/** One verb, through and with faults; whether the results are the same. */
async function check(name: string, job: FaultJob): Promise<boolean> {
  const [whole, out] = ['whole', 'faulty'].map((kind) => join(scratch, `${name}-${kind}`));
  console.log(`\nfact ${job.words('OUT').join(' ').replaceAll(scratch, '')}`);
  const through = await run(job.words(whole));
  tell('through', through);
  const part = 0.3 * through.seconds;
  tell('Ctrl-C after 30 %', await run(job.words(out), 'SIGINT', part));
  tell('gone on, killed after another 30 %', await run(job.again(out), 'SIGKILL', part));
  tell('gone on to the end', await run(job.again(out)));
  const [a, b] = [whole, out].map((path) => resultHashes(path, job.differs));
  const different = [...new Set([...a.keys(), ...b.keys()])].filter((file) => a.get(file) !== b.get(file));
  const verdict =
    different.length === 0
      ? `${a.size} files of results are the same, byte for byte`
      : `${different.length} of ${a.size} files are NOT THE SAME: ${different.slice(0, 8).join(', ')}`;
  console.log(`  ${verdict}`);
  return a.size > 0 && different.length === 0;
}

try {
  const broken = await fill();
  console.log(`${total} pictures in ${CLASSES} classes, ${broken} of them broken`);
  const jobs = faultJobs({ ...(await drawNetwork(scratch, CLASSES)), data });
  const wanted = values.verbs === 'all' ? Object.keys(jobs) : values.verbs.split(',');
  const failed: string[] = [];
  for (const name of wanted) {
    if (jobs[name] === undefined)
      throw new Error(`unknown verb ${name}; there are ${Object.keys(jobs).join(', ')}`);
    if (!(await check(name, jobs[name]))) failed.push(name);
  }
  console.log(failed.length === 0 ? '\nall results are the same' : `\nNOT THE SAME: ${failed.join(', ')}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
} finally {
  if (values.keep) console.log(`all files lie in ${scratch}`);
  else rmSync(scratch, { recursive: true, force: true });
}
