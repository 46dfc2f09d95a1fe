import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tensorsOfModel } from '../../src/convert/modelState.js';
import { writePyTorch } from '../../src/convert/pytorch/pytorchWriter.js';
import { createModel } from '../../src/models/createModel.js';
import { useEngine } from '../engine.js';
import { runFact } from './convertCommand.js';

useEngine('cpu');

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-cli-convert-'));
  const model = createModel('cifar10_resnet_20_bnu-linear-nomaxout');
  writePyTorch(at('good.pth'), tensorsOfModel(model));
  model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Two lines: the thing, then the remedy with the code. */
function expectTwoLines(stderr: string, code: string): void {
  expect(stderr).toMatch(new RegExp(`^error: .+\\n.+ {3}\\[${code}\\]\\n$`));
  expect(stderr).not.toContain('at ');
}

describe('fact convert', () => {
  it('writes networks as ONNX files with hidden features, and says that these are no source', async () => {
    const found = await import('onnxruntime-node').catch(() => null);
    if (found === null) return;
    const written = await runFact(
      'convert',
      at('good.pth'),
      at('net.onnx'),
      '--taps',
      'layer1,layer2',
      '--check',
    );
    expect(written.stderr).not.toContain('error');
    expect(written.status).toBe(0);
    const report = JSON.parse(readFileSync(at('net.onnx.parity.json'), 'utf8'));
    expect(report.stages.length).toBeGreaterThan(0);
    for (const { stages } of report.stages) expect(stages.at(-1).relative).toBeLessThan(1e-4);
    const session = await found.InferenceSession.create(at('net.onnx'), { logSeverityLevel: 3 });
    expect(session.outputNames).toEqual(
      expect.arrayContaining(['logits', 'features_layer1', 'features_layer2']),
    );
    await session.release();
    // The passes that make it fast merge weights: it is not taken apart again.
    expectTwoLines((await runFact('convert', at('net.onnx'), at('again'))).stderr, 'E_CKPT_UNSUPPORTED');
  });

  it('converts, checks and says what it did', async () => {
    const { status, stdout, stderr } = await runFact('convert', at('good.pth'), at('net'), '--check');
    expect(status).toBe(0);
    expect(stdout).toContain(
      '106 tensors, 273,701 values, architecture cifar10_resnet_20_bnu-linear-nomaxout',
    );
    expect(stdout).toContain('parity: 106 of 106 tensors are the same bytes, no value differs');
    expect(stderr).toContain('also fit cifar10_resnet_20_bn-linear-nomaxout');
    expect(readdirSync(at('net')).sort()).toEqual(['fact.json', 'model.json', 'weights.bin']);
  });

  it('prints one JSON value with --json', async () => {
    const { stdout } = await runFact('convert', at('good.pth'), at('a.safetensors'), '--json', '--check');
    expect(JSON.parse(stdout)).toMatchObject({
      targetFormat: 'safetensors',
      tensors: 106,
      parity: { tensors: { identical: 106 } },
    });
  });

  it('is quiet with --quiet but for warnings', async () => {
    const { stderr } = await runFact('convert', at('good.pth'), at('quiet'), '--quiet');
    expect(stderr).not.toContain('architecture:');
    expect(stderr).toMatch(/^warning: /);
  });

  it('takes options of the architecture with --set', async () => {
    const flags = ['--set', 'temperature=2', '--set', 'inputSize=64'];
    expect((await runFact('convert', at('good.pth'), at('set'), ...flags)).status).toBe(0);
    expect(JSON.parse(readFileSync(join(at('set'), 'fact.json'), 'utf8'))).toMatchObject({
      temperature: 2,
      inputSize: [64, 64],
    });
  });

  it.each([
    ['two names are needed', ['convert', 'a.pth']],
    ['an unknown option', ['convert', 'a.pth', 'b', '--wat']],
    ['an unknown type', ['convert', 'a.pth', 'b', '--dtype', 'float8']],
    ['a setting without a value', ['convert', 'a.pth', 'b', '--set', 'stem']],
    ['a target of another tool', ['convert', 'a.pth', 'b.h5']],
  ])('is used wrongly: %s', async (_what, args) => {
    expect((await runFact(...args)).status).toBe(2);
  });

  it('names the nearest architecture and option for a mistyped one', async () => {
    const arch = await runFact('convert', at('good.pth'), at('x'), '--arch', 'resnet81');
    expect(arch.status).toBe(2);
    expect(arch.stderr).toContain('the nearest is "resnet18"');
    const option = await runFact('convert', at('good.pth'), at('x'), '--set', 'widht=3');
    expect(option.status).toBe(2);
    expect(option.stderr).toContain('the nearest is "width"');
  });

  const files: [string, string | Uint8Array, string][] = [
    ['an empty file', '', 'E_CKPT_TRUNCATED'],
    ['an HTML page', '<!DOCTYPE html><html><body>404</body></html>', 'E_CKPT_UNSUPPORTED'],
    ['an LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\n', 'E_CKPT_UNSUPPORTED'],
    [
      'a tar',
      Buffer.concat([Buffer.alloc(257), Buffer.from('ustar\x0000'), Buffer.alloc(248)]),
      'E_CKPT_UNSUPPORTED',
    ],
    ['a 7z archive', Buffer.from("7z\xbc\xaf'\x1c rest", 'latin1'), 'E_CKPT_UNSUPPORTED'],
    ['a gzip file', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]), 'E_CKPT_UNSUPPORTED'],
    ['a bare pickle', Buffer.from([0x80, 2, 0x4e, 0x2e]), 'E_CKPT_'],
    ['random text', 'hello', 'E_CKPT_UNSUPPORTED'],
    ['a cut zip', 'PK\x03\x04', 'E_CKPT_TRUNCATED'],
  ];
  it.each(files)('refuses %s in two lines and writes nothing', async (_what, content, code) => {
    writeFileSync(at('bad.pth'), content);
    for (const target of ['bad-out', 'bad-out.safetensors']) {
      const { status, stdout, stderr } = await runFact('convert', at('bad.pth'), at(target));
      expect(status).toBe(1);
      expect(stdout).toBe('');
      expectTwoLines(stderr, `${code}\\w*`);
      expect(stderr).toContain('bad.pth');
      expect(existsSync(at(target))).toBe(false);
    }
  });

  it('reads by content: a wrong extension does no harm', async () => {
    writeFileSync(at('named.safetensors'), readFileSync(at('good.pth')));
    expect((await runFact('convert', at('named.safetensors'), at('named.pth'))).status).toBe(0);
  });

  it('refuses a source that is missing, a folder without a network, or below a file', async () => {
    const missing = await runFact('convert', at('nothing.pth'), at('o'));
    expect(missing.status).toBe(1);
    expectTwoLines(missing.stderr, 'E_NOT_FOUND');
    expectTwoLines((await runFact('convert', join(at('good.pth'), 'x'), at('o'))).stderr, 'E_NOT_FOUND');
    mkdirSync(at('hollow'));
    expectTwoLines((await runFact('convert', at('hollow'), at('o'))).stderr, 'E_MODEL_MISSING');
  });

  it.skipIf(process.getuid?.() === 0)('refuses a source that may not be read (not as root)', async () => {
    writeFileSync(at('secret.pth'), 'x');
    chmodSync(at('secret.pth'), 0);
    expectTwoLines((await runFact('convert', at('secret.pth'), at('o'))).stderr, 'E_READ');
  });

  it('refuses a device as source', async () => {
    const { status, stderr } = await runFact('convert', '/dev/null', at('o'));
    expect(status).toBe(1);
    expectTwoLines(stderr, 'E_READ');
  });

  it('keeps an existing target without --force, and says how to replace it', async () => {
    writeFileSync(at('kept.pth'), 'old');
    const { status, stderr } = await runFact('convert', at('good.pth'), at('kept.pth'));
    expect(status).toBe(1);
    expectTwoLines(stderr, 'E_EXISTS');
    expect(stderr).toContain('--force');
    expect(readFileSync(at('kept.pth'), 'utf8')).toBe('old');
  });

  it('reports a target that cannot be written', async () => {
    const { status, stderr } = await runFact('convert', at('good.pth'), join(at('good.pth'), 'a.pth'));
    expect(status).toBe(1);
    expectTwoLines(stderr, 'E_WRITE');
  });

  it.skipIf(!existsSync('/dev/full'))(
    'reports a full disk (/dev/full as the temporary file) and keeps the old target',
    async () => {
      const { symlinkSync } = await import('node:fs');
      writeFileSync(at('full.pth'), 'old');
      symlinkSync('/dev/full', at(`.full.pth.${process.pid}.tmp`));
      const { status, stderr } = await runFact('convert', at('good.pth'), at('full.pth'), '--force');
      expect(status).toBe(1);
      expectTwoLines(stderr, 'E_WRITE');
      expect(stderr).toContain('disk space');
      expect(readFileSync(at('full.pth'), 'utf8')).toBe('old');
      expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    },
  );

  it('shows a stack trace only with --debug', async () => {
    const plain = await runFact('convert', at('nothing.pth'), at('o'));
    const debug = await runFact('convert', at('nothing.pth'), at('o'), '--debug');
    expect(plain.stderr).not.toContain('FileSource');
    expect(debug.stderr).toContain('FileSource');
  });
});
