import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeImage } from '../../../src/data/decode.js';
import { evalTransform } from '../../../src/data/evalTransform.js';
import { startEngine } from '../../../src/engine/start.js';
import { Explainer } from '../../../src/explain/explainer.js';
import type { ExplainImage, Explanation } from '../../../src/explain/explanation.js';
import { exportModel } from '../../../src/explain/exported/exportModel.js';
import { writePage } from '../../../src/explain/exported/page.js';
import { servePage } from '../../../src/explain/exported/servePage.js';
import { signedPercent } from '../../../src/explain/report/words.js';
import { defaultModelFolder, openSaes } from '../../../src/explain/session/shipped.js';
import { loadModel } from '../../../src/models/loadModel.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const PHOTOS = join(ROOT, 'examples', 'photos');
/** Where Debian, Ubuntu and Chrome's own packages put it. */
const CHROMIUM = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path !== undefined && existsSync(path));
const WHY = CHROMIUM === undefined ? ' (skipped: no Chromium here; set CHROMIUM to its path)' : '';
/** Two networks of this size take this long on a busy machine, no more. */
const PATIENCE = 60_000;

function examplePhotos(): string[] {
  return readdirSync(PHOTOS, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jpg'))
    .map((name) => join(PHOTOS, name))
    .sort();
}

/** The page's own files, as `npm run build` makes them. */
function buildAssets(folder: string): void {
  const script = join(ROOT, 'scripts', 'pageBundle.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, join(folder, 'page.js')], { cwd: ROOT });
  if (status !== 0) throw new Error(String(stderr));
  for (const name of ['index.html', 'isolation-worker.js'])
    cpSync(join(ROOT, 'src', 'explain', 'browser', name), join(folder, name));
}

describe.skipIf(CHROMIUM === undefined)(`the page in a headless browser${WHY}`, () => {
  let folder: string;
  let server: Server;
  let browser: Browser;
  let page: Page;
  let address: string;
  let explain: (png: Buffer, choice?: { for?: number; versus?: number }) => Promise<Explanation>;
  let png: Buffer;
  const outside: string[] = [];
  const errors: string[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fact-browser-'));
    const assets = join(folder, 'assets');
    buildAssets(assets);
    await startEngine({ engine: 'onnx', threads: 1 });
    const model = await loadModel(defaultModelFolder());
    const saes = await openSaes(model, defaultModelFolder(), []);
    const [sae, early] = [saes.concepts?.sae ?? null, saes.traces?.sae ?? null];
    const file = exportModel({ model, sae, early }, { packageVersion: '0', ledgers: false });
    const options = { assets, examples: examplePhotos(), top: 8 };
    await writePage(join(folder, 'page'), file, options);
    ({ server, address } = await servePage(join(folder, 'page'), 0));
    const live = new Explainer(model, sae, { early });
    explain = async (bytes, choice) => {
      const original = await decodeImage(bytes, 'photo');
      const { preprocessing } = model.spec;
      const [height, width] = preprocessing.crop;
      const pixels = evalTransform(original, preprocessing);
      const image: ExplainImage = { name: 'photo.png', pixels, height, width, original, trueClass: null };
      return (await live.explain([image], choice))[0];
    };
    png = await sharp(readFileSync(examplePhotos()[0])).png().toBuffer();
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    page = await browser.newPage();
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(address) && !/^(data|blob):/.test(url)) outside.push(url);
    });
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(address);
    await statusBegins('Ready');
  }, 300_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function statusBegins(words: string, on = page): Promise<string> {
    const status = on.locator('#status', { hasText: new RegExp(`^${words}`) });
    await status.waitFor({ timeout: PATIENCE });
    return (await status.textContent()) ?? '';
  }

  async function expectShown(e: Explanation, on = page): Promise<void> {
    const shown = (selector: string): Promise<string[]> => on.locator(selector).allTextContents();
    expect(await shown('article h2')).toEqual([expect.stringContaining(e.predicted.name)]);
    expect(await shown('.concepts li > div > div:nth-of-type(2)')).toEqual(
      e.concepts.map(({ concept }) => `concept ${concept}`),
    );
    const shares = await shown('.concepts .share');
    e.concepts.forEach(({ share }, i) => {
      const value = Number(shares[i].replace('−', '-').replace(' %', ''));
      expect(Math.abs(value - 100 * share), signedPercent(share)).toBeLessThanOrEqual(0.06);
    });
    const status = await statusBegins('Explained', on);
    expect(status).toContain(`All ${e.ledgers.length} sums checked`);
  }

  it('has threads, by the isolation that its server or its service worker gives it', async () => {
    expect(await page.evaluate(() => globalThis.crossOriginIsolated)).toBe(true);
  });

  it('explains a dropped photograph with the numbers of fact explain, and the sums hold', async () => {
    await page.locator('#file').setInputFiles({ name: 'photo.png', mimeType: 'image/png', buffer: png });
    await statusBegins('Explained');
    await expectShown(await explain(png));
  });

  it('compares two classes that a person chooses', async () => {
    const { ranking } = await explain(png);
    await page.locator('#for').selectOption(String(ranking[1].index));
    await statusBegins('Explained');
    await page.locator('#versus').selectOption(String(ranking[0].index));
    const question = page.locator('h3', { hasText: 'rather than' });
    await question.first().waitFor({ timeout: PATIENCE });
    await expectShown(await explain(png, { for: ranking[1].index, versus: ranking[0].index }));
  });

  it('explains each example', async () => {
    for (let i = 0; i < examplePhotos().length; i++) {
      await page.locator('.example').nth(i).click();
      const name = examplePhotos()[i].split('/').at(-1) ?? '';
      await page.locator('p.file', { hasText: name }).waitFor({ timeout: PATIENCE });
      expect(await page.locator('.concepts img').count()).toBeGreaterThan(3);
    }
  });

  it('says in one line what is no picture', async () => {
    const buffer = Buffer.from('no picture');
    await page.locator('#file').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer });
    expect(await statusBegins('notes.txt')).toContain('no picture that this browser can read');
  });

  it('explains with the same numbers by WebGPU', { timeout: 300_000 }, async () => {
    // A graphics card made of software: slow, but the same programs.
    const software = [
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
      '--enable-features=Vulkan',
    ];
    const other = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', ...software] });
    try {
      const gpuPage = await other.newPage();
      await gpuPage.goto(`${address}?device=webgpu`);
      const ready = gpuPage.locator('#status', { hasText: /^Ready.*WebGPU/ });
      await ready.waitFor({ timeout: PATIENCE });
      await gpuPage.locator('#file').setInputFiles({ name: 'photo.png', mimeType: 'image/png', buffer: png });
      await gpuPage.locator('#status', { hasText: /^Explained/ }).waitFor({ timeout: 240_000 });
      await expectShown(await explain(png), gpuPage);
    } finally {
      await other.close();
    }
  });

  it('asks nothing of other servers, and has no error', () => {
    expect(outside).toEqual([]);
    expect(errors).toEqual([]);
  });
});
