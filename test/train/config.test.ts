import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FactError } from '../../src/core/errors.js';
import { loadConfig, parseConfig } from '../../src/train/config/load.js';
import { configDifferences, configHash, formatConfig } from '../../src/train/config/resolved.js';
import { listFilesBelow } from './listFiles.js';

const GOOD = `epochs: 2
model:
  arch: resnet
data:
  imageSize: [8, 8]
  batchSize: 4
loss:
  name: bce
optimizer:
  name: adam
  rate: 0.001
schedule:
  name: cosine
`;

function errorOf(text: string, overrides: readonly string[] = []): FactError {
  try {
    parseConfig(text, 'recipe.yaml', overrides);
  } catch (error) {
    expect(error).toBeInstanceOf(FactError);
    expect((error as FactError).code).toBe('E_CONFIG');
    expect((error as FactError).exitCode).toBe(2);
    return error as FactError;
  }
  throw new Error('no error was thrown');
}

/** [name, recipe, overrides, part of the message, part of the remedy] */
const BAD: readonly [string, string, readonly string[], string, string][] = [
  ['an empty file', '', [], 'empty', 'configs/'],
  ['a file of comments', '# nothing\n', [], 'empty', 'configs/'],
  ['a list', '- a\n', [], 'no mapping', 'configs/'],
  ['an unknown key', GOOD.replace('epochs', 'epohcs'), [], 'recipe.yaml:1: unknown key "epohcs"', '"epochs"'],
  ['an unknown inner key', GOOD.replace('rate:', 'rte:'), [], 'unknown key "optimizer.rte"', '"rate"'],
  [
    'an unknown key far from all',
    `${GOOD}zzzzzzzzzzzz: 1\n`,
    [],
    'recipe.yaml:14',
    'Known keys here: name, seed',
  ],
  ['a key of another optimiser', `${GOOD}`, ['optimizer.momentum=0.9'], '--set optimizer.momentum', 'betas'],
  ['a duplicate key', `${GOOD}epochs: 3\n`, [], 'recipe.yaml:14', 'YAML'],
  ['a missing key', GOOD.replace('  rate: 0.001\n', ''), [], '"optimizer.rate" is missing', 'Add it'],
  [
    'a wrong type',
    GOOD.replace('epochs: 2', 'epochs: two'),
    [],
    'recipe.yaml:1: "epochs" is "two"',
    'Correct',
  ],
  ['a boolean in YAML 1.1', GOOD, ['data.augment.flip=no'], '"data.augment.flip" is "no"', 'Correct'],
  ['NaN', GOOD.replace('0.001', '.nan'), [], '"optimizer.rate" is NaN', 'Correct'],
  ['an infinity', GOOD.replace('0.001', '.inf'), [], '"optimizer.rate" is Infinity', 'Correct'],
  ['a negative rate', GOOD.replace('0.001', '-0.001'), [], '"optimizer.rate" is -0.001', 'Correct'],
  ['zero epochs', GOOD.replace('epochs: 2', 'epochs: 0'), [], '"epochs" is 0', 'Correct'],
  ['half an epoch', GOOD.replace('epochs: 2', 'epochs: 2.5'), [], '"epochs" is 2.5', 'Correct'],
  ['an unknown loss', GOOD.replace('bce', 'bec'), [], '"loss.name" is "bec"', 'Correct'],
  ['a number that looks octal', GOOD.replace('epochs: 2', 'epochs: 010'), [], 'leading zero', 'zero'],
  ['an anchor', GOOD.replace('epochs: 2', 'epochs: &x 2'), [], 'anchors', 'Write the values'],
  ['an alias', `seed: &x 1\n${GOOD.replace('epochs: 2', 'epochs: *x')}`, [], 'anchors', 'Write the values'],
  ['an anchor bomb', `a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n`, [], 'anchors', 'Write the values'],
  [
    'a tag that makes a function',
    GOOD.replace('epochs: 2', "epochs: !!js/function 'f'"),
    [],
    'recipe.yaml:1',
    'YAML',
  ],
  ['__proto__', `${GOOD}__proto__:\n  polluted: true\n`, [], '"__proto__" cannot be a key', 'Remove'],
  ['constructor', `${GOOD}constructor: 1\n`, [], '"constructor" cannot be a key', 'Remove'],
  ['__proto__ in an override', GOOD, ['__proto__.polluted=1'], '__proto__', ''],
  ['a tab for indentation', 'model:\n\tarch: x\n', [], 'recipe.yaml:2', 'YAML'],
  ['an unclosed bracket', `${GOOD}groups: [\n`, [], 'recipe.yaml:', 'YAML'],
  ['two documents', `${GOOD}---\n${GOOD}`, [], 'recipe.yaml:', 'YAML'],
  ['an override without =', GOOD, ['epochs'], 'not of the form key=value', '--set optimizer.rate'],
  ['an override of nothing', GOOD, ['=1'], '--set =1', '--set optimizer.rate'],
  ['a warm-up as long as the run', GOOD, ['schedule.warmup.epochs=2'], 'warmup.epochs is 2 of 2', 'shorter'],
  [
    'part of an epoch of warm-up, once an epoch',
    GOOD,
    ['schedule.warmup.epochs=0.5'],
    'not whole',
    'interval: step',
  ],
  [
    'steps of warm-up, once an epoch',
    GOOD,
    ['schedule.warmup.steps=5'],
    'needs schedule.interval',
    'interval: step',
  ],
  ['a minimum above the rate', GOOD, ['schedule.minimum=1'], 'above optimizer.rate', 'smaller'],
  ['padding without its crop', GOOD, ['data.augment.padding=4'], 'no effect', 'crop: pad'],
  ['a range with its ends swapped', GOOD, ['data.augment.scale=[0.9,0.1]'], 'larger end first', 'smallest'],
  ['an evaluation smaller than the image', GOOD, ['data.evalResize=4'], 'smaller than the image', 'at least'],
  ['a new head without a start', GOOD, ['init.newHead=fc'], 'no effect', 'newHead: null'],
];

describe('a recipe', () => {
  it('with the least keys gets every default', () => {
    const config = parseConfig(GOOD, 'recipe.yaml');
    expect(config.optimizer).toEqual({
      name: 'adam',
      rate: 0.001,
      betas: [0.9, 0.999],
      epsilon: 1e-8,
      weightDecay: 0,
    });
    expect(config.checkpoint.everyMinutes).toBe(5);
  });

  it('may begin with a byte order mark and have CRLF line ends', () => {
    const text = `\uFEFF${GOOD.replaceAll('\n', '\r\n')}`;
    expect(parseConfig(text, 'recipe.yaml')).toEqual(parseConfig(GOOD, 'recipe.yaml'));
  });

  it('written out and read again is the same', () => {
    const config = parseConfig(GOOD, 'recipe.yaml', ['seed=5', 'model.options={width: 8, blocks: [1, 2]}']);
    expect(parseConfig(formatConfig(config), 'again.yaml')).toEqual(config);
  });

  it('takes values of the command line over those of the file', () => {
    const config = parseConfig(GOOD, 'recipe.yaml', ['epochs=7', 'ema.decay=0.9', 'clip.adaptive=null']);
    expect([config.epochs, config.ema?.decay, config.clip.adaptive]).toEqual([7, 0.9, null]);
  });

  it('does not touch the prototype of objects', () => {
    errorOf(GOOD, ['__proto__.polluted=1']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  for (const [name, text, overrides, message, remedy] of BAD) {
    it(`with ${name} is refused`, () => {
      const error = errorOf(text, overrides);
      expect(error.message).toContain(message);
      expect(error.remedy).toContain(remedy);
    });
  }

  it('that is too large is refused', () => {
    expect(errorOf(`name: ${'x'.repeat(1_000_001)}`).message).toContain('larger');
  });

  it('that is not there is named', () => {
    expect(() => loadConfig('/nowhere/recipe.yaml')).toThrow('no such file');
  });

  it('hashes the same where only keys differ that change no number', () => {
    const a = parseConfig(GOOD, 'a.yaml');
    const b = parseConfig(GOOD, 'a.yaml', ['name=other', 'data.workers=3', 'log.everySteps=7']);
    const c = parseConfig(GOOD, 'a.yaml', ['seed=3']);
    expect(configHash(b)).toBe(configHash(a));
    expect(configHash(c)).not.toBe(configHash(a));
    expect(configDifferences(a, c)).toEqual(['seed: 42 -> 3']);
  });
});

describe('the recipes of configs/', () => {
  const folder = join(import.meta.dirname, '../../configs');
  // Recipes of autoencoders have a schema of their own.
  const isNetwork = (file: string): boolean =>
    file.endsWith('.yaml') && !file.startsWith(join(folder, 'sae'));
  for (const path of listFilesBelow(folder).filter(isNetwork)) {
    const name = path.slice(folder.length + 1);
    it(`${name} spells out every key`, () => {
      const config = loadConfig(path);
      const written = parseConfig(readFileSync(path, 'utf8'), name);
      const keys = (value: unknown, at = ''): string[] =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.entries(value).flatMap(([key, inner]) => keys(inner, `${at}.${key}`))
          : [at];
      const text = readFileSync(path, 'utf8');
      for (const key of keys(config)) expect(text, key).toContain(`${key.slice(key.lastIndexOf('.') + 1)}:`);
      expect(written).toEqual(config);
    });
  }
});
