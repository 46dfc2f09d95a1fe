import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { register } from '../../src/cli/verify.js';
import { reportSchema } from '../../src/explain/report/reportSchema.js';
import { runVerbOf, useExplainCase } from './explainCase.js';

describe('fact verify', () => {
  const made = useExplainCase();
  const verify = (...argv: string[]) =>
    runVerbOf(register, 'verify', made.photos, '--model', made.model, ...argv);

  it('prints the ledger of each image and a summary, and exits 0 where every sum holds', async () => {
    const { status, stdout } = await verify();
    expect(status).toBe(0);
    expect(
      stdout.match(/logit of .*, before its bias|logit of .* less that of/g)?.length,
    ).toBeGreaterThanOrEqual(3);
    expect(stdout).toContain('presence of concept');
    expect(stdout.trimEnd().split('\n').pop()).toMatch(
      /^3 images, \d+ sums: all sums hold; largest relative error/,
    );
  });

  it('exits 1 where a sum is above the tolerance', async () => {
    const { status, stdout } = await verify('--tolerance', '1e-30');
    expect(status).toBe(1);
    expect(stdout).toContain('DO NOT HOLD');
  });

  it('prints the same as JSON of the report schema', async () => {
    const { status, stdout } = await verify('--json', '--top', '2');
    const report = reportSchema.parse(JSON.parse(stdout));
    expect([status, report.command, report.summary.images, report.summary.failed]).toEqual([
      0,
      'verify',
      3,
      0,
    ]);
  });

  it('proves the pixel sums of a network without autoencoder', async () => {
    const { cpSync, rmSync } = await import('node:fs');
    const plain = join(made.root, 'plain');
    cpSync(made.model, plain, { recursive: true });
    rmSync(join(plain, 'saes'), { recursive: true });
    const { status, stderr, stdout } = await runVerbOf(register, 'verify', made.photos, '--model', plain);
    expect(status).toBe(0);
    expect(stderr).toContain('no autoencoder');
    expect(stdout).toContain('3 images, 3 sums: all sums hold');
  });
});
