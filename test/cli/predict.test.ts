import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { register } from '../../src/cli/predict.js';
import { runVerbOf, useExplainCase, writeBroken } from './explainCase.js';

describe('fact predict', () => {
  const made = useExplainCase();
  const predict = (...argv: string[]) => runVerbOf(register, 'predict', ...argv, '--model', made.model);

  it('prints the likeliest classes of each picture with probabilities', async () => {
    const { status, stdout } = await predict(made.photos);
    expect(status).toBe(0);
    expect(stdout.match(/photo \d\.png/g)).toHaveLength(3);
    expect(stdout.match(/ %/g)).toHaveLength(15);
  });

  it('gives falling logits as JSON', async () => {
    const { stdout } = await predict(made.photos, '--json', '--top', '3');
    const { images, skipped } = JSON.parse(stdout);
    expect([images.length, skipped]).toEqual([3, []]);
    for (const { ranking } of images) {
      const logits = ranking.map((c: { logit: number }) => c.logit);
      expect(logits).toHaveLength(3);
      expect([...logits].sort((a, b) => b - a)).toEqual(logits);
    }
  });

  it('fails where the only picture is broken', async () => {
    const { status, stderr } = await predict(writeBroken(join(made.root, 'x.jpg')));
    expect([status, stderr.includes('[E_IMAGE_CORRUPT]')]).toEqual([1, true]);
  });
});
