import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/sae.js';
import { CLASS_NAMES } from '../../explain/fixtures.js';
import { jpegOf, pngOf, randomPicture, toSharp } from '../../fixtures/pictures.js';
import { hashes } from '../../train/sae/store/storeCase.js';
import { runVerbOf, useExplainCase } from '../explainCase.js';

describe('fact sae features', () => {
  const made = useExplainCase();
  const data = join(made.root, 'images');
  const at = (name: string) => join(made.root, name);
  const features = (...argv: string[]) => runVerbOf(register, 'sae', 'features', ...argv);
  const small = ['--positions', '5', '--image-batch', '4', '--workers', '0'];

  beforeAll(async () => {
    for (const [c, name] of CLASS_NAMES.entries()) {
      mkdirSync(join(data, 'train', name), { recursive: true });
      for (let i = 0; i < 3; i++) {
        const picture = randomPicture(32, 32, c * 10 + i, true);
        writeFileSync(join(data, 'train', name, `${i}.jpg`), await jpegOf(picture));
      }
    }
  });

  const several = (out: string, ...more: string[]) =>
    features(
      made.model,
      '--tap',
      'layer1',
      '--tap',
      'layer2',
      '--data-dir',
      data,
      '--out',
      out,
      ...small,
      ...more,
    );

  it('writes several taps in one pass, says what lies where, and goes on from share to share', async () => {
    const whole = await several(at('whole'));
    expect(whole.status, whole.stderr).toBe(0);
    expect(whole.stdout).toContain('layer1: 75 rows of 8 channels (f32) in one shard');
    expect(whole.stdout).toContain('layer2: 75 rows of 16 channels (f32) in one shard');
    expect(whole.stderr).toMatch(/layer2: 5 of 64 positions an image, 75 rows of 16, 1 shard/);
    const first = await several(at('shared'), '--shard', '2/2', '--json', '--quiet');
    expect(first.status, first.stderr).toBe(0);
    expect(first.stderr).toBe('');
    expect(JSON.parse(first.stdout)).toEqual({
      status: 'waiting',
      out: at('shared'),
      imagesDone: 7,
      imagesWanted: 15,
    });
    const second = await several(at('shared'), '--shard', '1/2', '--json');
    expect(JSON.parse(second.stdout)).toMatchObject({ status: 'done', images: 15, heldOut: 0, broken: 0 });
    expect(hashes(at('shared'))).toEqual(hashes(at('whole')));
    const again = await several(at('whole'), '--quiet');
    expect(again.status).toBe(0);
  });

  it('ends with 130 on Ctrl-C, says how far it is, and goes on from there', async () => {
    const out = at('stopped');
    const running = several(out, '--json');
    const lock = join(out, '.writing', '1-of-1', 'run.lock');
    while (!existsSync(lock)) await new Promise((resolve) => setTimeout(resolve, 1));
    process.emit('SIGINT');
    const stopped = await running;
    expect(stopped.status, stopped.stderr).toBe(130);
    const { status, imagesDone } = JSON.parse(stopped.stdout);
    expect(status).toBe('stopped');
    expect(imagesDone).toBeLessThan(15);
    const rest = await several(out, '--quiet');
    expect(rest.status, rest.stderr).toBe(0);
    expect(hashes(out)).toEqual(hashes(at('whole')));
  });

  it('names broken, odd and misnamed pictures or takes them', async () => {
    const odd = at('odd');
    cpSync(data, odd, { recursive: true });
    const place = join(odd, 'train', CLASS_NAMES[0]);
    const picture = randomPicture(32, 32, 77, true);
    writeFileSync(join(place, 'zero.jpg'), '');
    writeFileSync(join(place, 'text.png'), 'no picture');
    writeFileSync(join(place, 'png.jpg'), await pngOf(picture));
    writeFileSync(join(place, 'grey 灰.png'), await toSharp(picture).greyscale().png().toBuffer());
    writeFileSync(join(place, 'alpha.png'), await toSharp(picture).ensureAlpha(0.5).png().toBuffer());
    writeFileSync(join(place, 'cmyk.jpg'), await toSharp(picture).toColourspace('cmyk').jpeg().toBuffer());
    writeFileSync(join(place, 'one.png'), await pngOf(randomPicture(1, 1, 3)));
    mkdirSync(join(odd, 'train', 'zz empty'));
    const run = await features(
      made.model,
      '--tap',
      'layer2',
      '--data-dir',
      odd,
      '--out',
      at('s'),
      ...small,
      '--json',
    );
    expect(run.status, run.stderr).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ images: 20, broken: 2 });
    expect(run.stderr).toMatch(/2 broken images were skipped; the first: tabby\/text.png \[E_IMAGE_\w+\]/);
    expect(run.stderr).toContain('zz empty');
  });

  it('compares a store with its hashes', async () => {
    const good = await features('--check', at('whole'));
    expect(good.status, good.stderr).toBe(0);
    expect(good.stdout).toContain('has its SHA-256');
    const spoilt = at('spoilt');
    cpSync(at('whole'), spoilt, { recursive: true });
    const [file] = readdirSync(join(spoilt, 'layer1'));
    appendFileSync(join(spoilt, 'layer1', file), '!');
    const bad = await features('--check', spoilt);
    expect(bad.status).toBe(1);
    expect(bad.stderr).toMatch(
      /features-\w+\.safetensors, byte \d+: the file goes on .*\n.*\[E_STORE_DAMAGED\]/,
    );
  });

  it.each([
    [[], 'no network is given'],
    [['MODEL', '--out', 'OUT', '--data-dir', 'DATA'], 'no --tap is given'],
    [['MODEL', '--tap', 'layer2', '--data-dir', 'DATA'], 'no --out is given'],
    [['MODEL', '--tap', 'layer2', '--out', 'OUT'], 'no data set is given'],
    [['MODEL', '--tap', 'layer22', '--out', 'OUT', '--data-dir', 'DATA'], 'the nearest is "layer2"'],
    [['MODEL', '--tap', 'logits', '--out', 'OUT', '--data-dir', 'DATA'], 'no tap "logits"'],
    [['MODEL', '--tap', 'layer2', '--tap', 'layer2', '--out', 'OUT', '--data-dir', 'DATA'], 'given twice'],
    [
      ['MODEL', '--tap', 'layer2', '--out', 'OUT', '--data-dir', 'DATA', '--max-gb', '1e-6'],
      'holds no image',
    ],
  ])('%o ends with status 2 and says "%s"', async (argv, message) => {
    const names: Record<string, string> = { MODEL: made.model, DATA: data, OUT: at('unused') };
    const { status, stderr } = await features(...argv.map((word) => names[word] ?? word));
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(status).toBe(2);
    expect(existsSync(at('unused'))).toBe(false);
    rmSync(at('unused'), { recursive: true, force: true });
  });

  it.each([
    [['--shard', '4/3'], '"4/3" is not a share'],
    [['--shard', '0/3'], '"0/3" is not a share'],
    [['--max-gb', '0'], '"0" is not a size'],
    [['--hold-out', '-1'], '"-1" is not a whole number'],
    [['--positions', '0'], '"0" is no choice of positions'],
  ])('%o is refused with status 2: %s', async (argv, message) => {
    await expect(features(...argv)).rejects.toMatchObject({
      code: 'E_USAGE',
      exitCode: 2,
      message: expect.stringContaining(message),
    });
  });
});
