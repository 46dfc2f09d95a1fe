import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.js';
import { tensorsOfModel } from '../../src/convert/modelState.js';
import { encodePyTorch } from '../../src/convert/pytorch/pytorchWriter.js';
import type { ZooEntry } from '../../src/convert/zoo/catalogue.js';
import { sha256 } from '../../src/core/hash.js';
import { Random } from '../../src/core/random.js';
import { createModel } from '../../src/models/createModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import { modelEntry } from '../../src/models/registry.js';
import { BadServer, serve } from '../core/badServer.js';
import { useEngine } from '../engine.js';
import { pngOf, randomPicture } from '../fixtures/pictures.js';

/** A small network that this test publishes. */
const NAME = 'cifar10_resnet_20_bnu-linear-nomaxout';
const published = vi.hoisted(() => ({ entry: null as ZooEntry | null }));
vi.mock('../../src/convert/zoo/catalogue.js', async (importOriginal) => {
  const real = await importOriginal<typeof import('../../src/convert/zoo/catalogue.js')>();
  return {
    ...real,
    zooEntry: (name: string) => (name === published.entry?.name ? published.entry : real.zooEntry(name)),
  };
});

useEngine();
let server: BadServer;
let folder = '';
const files = new Map<string, Uint8Array>();

async function fact(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => err.push(String(text)) > 0),
  ];
  process.exitCode = undefined;
  try {
    await main(['node', 'fact', ...args]);
    return { status: Number(process.exitCode ?? 0), stdout: out.join(''), stderr: err.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}

function saeBytes(channels: number, latents: number, k: number): Uint8Array {
  const random = new Random(5);
  const values = Float32Array.from({ length: channels * latents }, () => random.normal());
  const bytes = new Uint8Array(values.buffer);
  return Buffer.concat([
    ...encodePyTorch(
      [
        { name: 'k', dtype: 'int32', shape: [], bytes: new Uint8Array(Int32Array.of(k).buffer) },
        { name: 'decoder.weight', dtype: 'float32', shape: [channels, latents], bytes },
        { name: 'encoder.weight', dtype: 'float32', shape: [latents, channels], bytes },
      ],
      null,
    ),
  ]);
}

beforeAll(async () => {
  const model = createModel(NAME, { seed: 3 });
  const weights = Buffer.concat([...encodePyTorch(tensorsOfModel(model), null)]);
  model.dispose();
  const hashPrefix = sha256(weights).slice(0, 10);
  const file = `small-${hashPrefix}.pth`;
  files.set(file, weights);
  files.set('sae.pt', saeBytes(64, 96, 4));
  server = await BadServer.start();
  const sae = { network: NAME, tap: 'layer3', channels: 64, latents: 96, k: 4, file: 'sae.pt' };
  published.entry = {
    name: NAME,
    entry: modelEntry(NAME),
    published: { top1: 1, top5: 2, parameters: 3, file },
    hashPrefix,
    url: server.url(`/${file}`),
    parameterBytes: weights.length,
    licence: 'ImageNet terms',
    saes: [{ ...sae, url: server.url('/sae.pt'), tensorBytes: 2 * 4 * 64 * 96 }],
  };
});
afterAll(() => server.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-zoo-cli-'));
  for (const [key, value] of Object.entries({
    FACT_CACHE: join(folder, 'cache'),
    TORCH_HOME: folder,
    NO_PROXY: '*',
  }))
    vi.stubEnv(key, value);
  server.seen.length = 0;
  server.handler = (request, response) => {
    const content = files.get(request.url?.slice(1) ?? '');
    if (content === undefined) response.writeHead(404).end();
    else serve(content, request, response, { etag: '"v"' });
  };
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe('fact zoo list', () => {
  it('shows every published network with what is known of it', async () => {
    const { status, stdout } = await fact('zoo', 'list');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^resnet50_long +79\.5 % +25,538,880 +102 MB +ImageNet terms +layer1-4 +layer4 \(16384\)/m,
    );
    const rows = JSON.parse((await fact('zoo', 'list', '--json')).stdout) as {
      name: string;
      saes: unknown[];
    }[];
    expect(rows.length).toBe(34);
    expect(rows.flatMap((row) => row.saes).length).toBe(10);
  });
});

describe('fact zoo download', () => {
  it('makes a network and its autoencoder, whose sums hold on a picture', async () => {
    const out = join(folder, 'net');
    const { status, stdout, stderr } = await fact(
      'zoo',
      'download',
      NAME,
      '--out',
      out,
      '--sae',
      'all',
      '--check',
      '--json',
    );
    expect(stderr).not.toContain('error');
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as { fetched: boolean; saes: { folder: string }[] };
    expect(report.fetched).toBe(true);
    expect(report.saes.map((sae) => sae.folder)).toEqual([join(out, 'saes', 'layer3')]);
    const picture = join(folder, 'picture.png');
    writeFileSync(picture, await pngOf(randomPicture(40, 36, 8, true)));
    const verified = await fact('verify', picture, '--model', out, '--json');
    expect(verified.status).toBe(0);
    expect(JSON.parse(verified.stdout)).toBeTruthy();
  });

  it('again downloads nothing and keeps the network; another autoencoder is added', async () => {
    const out = join(folder, 'net');
    expect((await fact('zoo', 'download', NAME, '--out', out)).status).toBe(0);
    const before = readFileSync(join(out, 'weights.bin'));
    const again = await fact('zoo', 'download', NAME, '--out', out, '--sae', 'layer3');
    expect(again.status).toBe(0);
    expect(again.stderr).toContain('already');
    expect(server.seen.map(({ path }) => path)).toEqual([`/${published.entry?.published.file}`, '/sae.pt']);
    expect(readFileSync(join(out, 'weights.bin'))).toEqual(before);
    expect(existsSync(join(out, 'saes/layer3/cfg.json'))).toBe(true);
  });

  it('does not replace another network, nor a folder of other things, and leaves no half result', async () => {
    const out = join(folder, 'net');
    const other = createModel('cifar10_resnet_20-nomaxout', { weights: 'zero' });
    await other.save(out);
    other.dispose();
    const refused = await fact('zoo', 'download', NAME, '--out', out);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('E_EXISTS');
    expect(server.seen.length).toBe(0);
    expect((await fact('zoo', 'download', NAME, '--out', out, '--force')).status).toBe(0);
    const model = await loadModel(out);
    expect(model.spec.arch).toBe(NAME);
    expect(model.spec.source).toBe(published.entry?.published.file);
    model.dispose();
    server.handler = (_request, response) => response.writeHead(404).end();
    rmSync(join(folder, 'cache'), { recursive: true });
    const missing = join(folder, 'missing');
    expect((await fact('zoo', 'download', NAME, '--out', missing)).stderr).toContain('E_DOWNLOAD');
    expect(existsSync(missing)).toBe(false);
  });

  it('of an autoencoder of other sizes is E_SAE_MISMATCH', async () => {
    const good = files.get('sae.pt') as Uint8Array;
    files.set('sae.pt', saeBytes(64, 90, 4));
    try {
      const { status, stderr } = await fact(
        'zoo',
        'download',
        NAME,
        '--out',
        join(folder, 'net'),
        '--sae',
        'layer3',
      );
      expect(status).toBe(1);
      expect(stderr).toContain('E_SAE_MISMATCH');
      expect(stderr).toContain('90 concepts');
    } finally {
      files.set('sae.pt', good);
    }
  });

  it('of something that is not published is wrong usage', async () => {
    for (const args of [['resnet500'], ['resnet18', '--sae', 'layer4']]) {
      const { status, stderr } = await fact('zoo', 'download', ...args);
      expect(status).toBe(2);
      expect(stderr).toContain('E_ZOO_UNKNOWN');
    }
  });

  it('offline says what to do, and Ctrl-C keeps what came', async () => {
    const offline = await fact('zoo', 'download', NAME, '--offline', '--out', join(folder, 'net'));
    expect(offline.status).toBe(1);
    expect(offline.stderr).toContain('E_OFFLINE');
    server.handler = (_request, response) => {
      response.writeHead(200, { 'content-length': 1_000_000 });
      response.write(Buffer.alloc(50_000));
      setTimeout(() => process.emit('SIGINT'), 50);
    };
    const stopped = await fact('zoo', 'download', NAME, '--out', join(folder, 'net'));
    expect(stopped.status).toBe(130);
    expect(stopped.stderr).toContain('is kept');
    expect(readdirSync(join(folder, 'cache/zoo')).some((name) => name.endsWith('.part'))).toBe(true);
  });
});
