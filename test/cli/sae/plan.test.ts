import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/sae.js';
import { runVerbOf, useExplainCase } from '../explainCase.js';

/** Bytes of all files below a folder, shards (safetensors) and others apart. */
function diskUse(folder: string): { shards: number; rest: number } {
  const sum = { shards: 0, rest: 0 };
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const found = statSync(join(folder, name));
    if (found.isFile()) sum[name.endsWith('.safetensors') ? 'shards' : 'rest'] += found.size;
  }
  return sum;
}

describe('fact sae plan', () => {
  const made = useExplainCase();
  const sae = (...argv: string[]) => runVerbOf(register, 'sae', ...argv);
  const own = ['--tap', 'layer2', '--latents', '24', '--k', '4', '--positions', '20'];

  it('says what the published settings cost, from stated rates', async () => {
    const text = await sae('plan');
    expect(text.status, text.stderr).toBe(0);
    expect(text.stdout).toContain('1,231,167 images for features, 50,000 held out');
    expect(text.stdout).toMatch(
      /densenet121_long features\.norm5 +16384 +16 +36 of 49 +44,322,012 +181\.5 GB \(169 GiB\)/,
    );
    expect(text.stdout).toContain('Rates are stated');
    const limited = await sae('plan', '--network', 'resnet50_long', '--max-gb', '50', '--batch', '4096');
    expect(limited.stdout).toContain('Within 50.0 GB of disk');
    expect(limited.stdout).not.toContain('densenet');
    const flying = await sae('plan', '--network', 'resnet50_long', '--on-the-fly');
    expect(flying.stdout).toContain('the network in every epoch');
  });

  it("gives a store's disk to the byte, but for the index", async () => {
    for (const dtype of ['f32', 'f16']) {
      const out = join(made.root, `store-${dtype}`);
      const written = await sae(
        ...['features', made.model, '--tap', 'layer2', '--data-dir', made.photos, '--out', out],
        ...['--positions', '20', '--image-batch', '4', '--dtype', dtype, '--json'],
      );
      expect(written.status, written.stderr).toBe(0);
      const { rows } = JSON.parse(written.stdout).taps?.[0] ?? JSON.parse(written.stdout);
      const planned = await sae('plan', made.model, ...own, '--images', String(rows / 20), '--json');
      expect(planned.status, planned.stderr).toBe(0);
      const [plan] = JSON.parse(planned.stdout).settings;
      expect(plan.rows).toBe(rows);
      const { shards, rest } = diskUse(out);
      const bytes = dtype === 'f16' ? 2 : 4;
      expect(shards).toBe(rows * (8 + plan.setting.channels * bytes) + 512);
      const index = plan[dtype].bytes - shards;
      expect(rest).toBeLessThanOrEqual(index);
      expect(index).toBeLessThan(4096);
    }
  });

  it('measures a network of the user', async () => {
    const measured = await sae('plan', made.model, ...own, '--images', '100', '--measure', '--json');
    expect(measured.status, measured.stderr).toBe(0);
    const { rates, settings } = JSON.parse(measured.stdout);
    expect(rates.source).toContain('measured just now');
    expect(rates.decode).toBeGreaterThan(0);
    const { collection, training, evaluation } = settings[0].seconds;
    for (const seconds of [collection, training, evaluation]) expect(seconds).toBeGreaterThan(0);
    const unknown = await sae('plan', made.model, ...own, '--images', '100');
    expect(unknown.stdout).toContain('--measure finds them');
  });

  it('refuses what makes no plan', async () => {
    for (const argv of [
      ['--max-gb', '0'],
      ['--network', 'resnet18'],
      ['--tap', 'layer2'],
      [made.model],
      [join(made.root, 'nowhere'), '--tap', 'layer2'],
    ]) {
      const refused = await sae('plan', ...argv);
      expect(refused.status).toBe(2);
      expect(refused.stderr).toContain('E_USAGE');
    }
  });
});
