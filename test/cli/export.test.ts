import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { register } from '../../src/cli/export.js';
import { parseModel } from '../../src/engine/onnx/proto.js';
import { testEngine } from '../engineName.js';
import { runVerbOf, useExplainCase } from './explainCase.js';

// Why skipped: exporting is recording, which engine onnx alone does.
describe.skipIf(testEngine() !== 'onnx')('fact export', () => {
  const made = useExplainCase();
  const run = (...argv: string[]) => runVerbOf(register, 'export', made.model, ...argv);
  const at = (name: string): string => join(made.root, name);
  const photo = (): string => join(made.photos, 'tabby', 'photo 0.png');

  it('writes an explanation with both autoencoders of the network, and says what goes in and comes out', async () => {
    const { status, stdout } = await run('--out', at('explain.onnx'));
    expect(status).toBe(0);
    expect(stdout).toContain('explain.onnx: ');
    expect(stdout).toMatch(/inputs +image, class_weights, concepts, want_contributions/);
    const { metadataProps, opsetImport } = parseModel(readFileSync(at('explain.onnx')));
    expect(Number(opsetImport?.[0].version)).toBe(17);
    const metadata = Object.fromEntries((metadataProps ?? []).map(({ key, value }) => [key, value]));
    const [late, early] = JSON.parse(metadata.autoencoders ?? '');
    expect([late.tap, early.tap]).toEqual(['layer2', 'layer1']);
    expect(late.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(metadata.model_sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it('runs the file on a picture and says how near it is to the program', async () => {
    const { status, stdout } = await run('-o', at('checked.onnx'), '--check', photo());
    expect(status).toBe(0);
    expect(stdout).toMatch(/15 outputs and the program: largest difference \d\.\de-\d+: agrees/);
    expect(stdout).toMatch(/ledgers: largest relative error .*: hold/);
  });

  it('gives the same as JSON, for a page or a script', async () => {
    const { stdout } = await run(
      '-o',
      at('json.onnx'),
      '--json',
      '--check',
      photo(),
      '--weights',
      'f16',
      '--input',
      'uint8',
    );
    const result = JSON.parse(stdout);
    expect(result.inputs[0]).toBe('photo');
    expect(result.bytes).toBe(readFileSync(at('json.onnx')).length);
    expect(JSON.parse(result.metadata.input)).toMatchObject({ name: 'photo', layout: 'NHWC' });
    const { metadataProps } = parseModel(readFileSync(at('json.onnx')));
    const seal = metadataProps?.find(({ key }) => key === 'content_sha256')?.value;
    expect(result.metadata.content_sha256).toBe(seal);
    expect(seal).toMatch(/^(?!0{64})[0-9a-f]{64}$/);
    expect(result.check.largestLedgerError).toBeLessThanOrEqual(1e-5);
  });

  it('takes an autoencoder with its tap, and refuses another tap', async () => {
    const sae = join(made.model, 'saes', 'layer1');
    const right = await run('-o', at('one.onnx'), '--sae', `${sae}@layer1`);
    expect(right.status).toBe(0);
    expect(right.stdout).not.toContain('want_traces');
    const wrong = await run('-o', at('never.onnx'), '--sae', `${sae}@layer2`);
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('an autoencoder for tap "layer1", not "layer2"');
    expect(existsSync(at('never.onnx'))).toBe(false);
  });

  it.each([
    [['--tap', 'layer1'], 'Add --kind features'],
    [['--size', '8x'], 'is not a size'],
    [['--size', '8x8x8'], 'is not a size'],
    [['--kind', 'features', '--tap', 'layer9'], 'there is no tap "layer9"'],
  ])('refuses %j', async (argv, part) => {
    const before = readdirSync(made.root);
    const outcome = await run('-o', at('refused.onnx'), ...argv).catch((error: Error) => ({
      status: 2,
      stderr: error.message,
    }));
    expect([outcome.status, outcome.stderr.includes(part)], outcome.stderr).toEqual([2, true]);
    expect(readdirSync(made.root)).toEqual(before);
  });

  it('leaves nothing half-written where it cannot write', async () => {
    const { status, stderr } = await run('-o', join(photo(), 'explain.onnx'));
    expect([status, stderr.includes('[E_WRITE]')]).toEqual([1, true]);
  });
});
