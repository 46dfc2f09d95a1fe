import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FactError, messageOf, systemCodeOf } from '../../src/core/errors.js';
import { sha256, sha256File } from '../../src/core/hash.js';
import { nearestName } from '../../src/core/nearest.js';
import { temporaryFolders } from '../fixtures/pictures.js';

const folder = temporaryFolders();

describe('a typed error', () => {
  it('carries code, message, remedy, exit status and cause', () => {
    const cause = new Error('inner');
    const error = new FactError({ code: 'E_X', message: 'what', remedy: 'do', cause });
    expect(error).toMatchObject({
      name: 'FactError',
      code: 'E_X',
      message: 'what',
      remedy: 'do',
      exitCode: 1,
      cause,
    });
    expect(error).toBeInstanceOf(Error);
    expect(new FactError({ code: 'E_X', message: '', remedy: '', exitCode: 2 }).exitCode).toBe(2);
  });

  it('is read from any thrown value', () => {
    expect([messageOf(new Error('a')), messageOf('b'), messageOf(null)]).toEqual(['a', 'b', 'null']);
    expect(systemCodeOf(Object.assign(new Error(), { code: 'ENOENT' }))).toBe('ENOENT');
    expect([null, undefined, 3, { code: 7 }].map(systemCodeOf)).toEqual(new Array(4).fill(undefined));
  });
});

describe('the nearest name', () => {
  const known = ['learningRate', 'weightDecay', 'batchSize', 'epochs'];

  it('is found over a slip of the keyboard, swapped letters and case', () => {
    expect(nearestName('lerningRate', known)).toBe('learningRate');
    expect(nearestName('bacthSize', known)).toBe('batchSize');
    expect(nearestName('EPOCHS', known)).toBe('epochs');
    expect(nearestName('epoch', known)).toBe('epochs');
  });

  it('is none where nothing is near', () => {
    expect(nearestName('zzzzzzzz', known)).toBeUndefined();
    expect(nearestName('anything', [])).toBeUndefined();
  });

  it('is found quickly for very long names', () => {
    const start = Date.now();
    nearestName('x'.repeat(1e6), ['y'.repeat(1e6), 'x']);
    expect(Date.now() - start).toBeLessThan(500);
  });
});

describe('a SHA-256', () => {
  it('is that of the standard, for text, bytes and files', async () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(sha256('abc')).toBe(abc);
    expect(sha256(new Uint8Array([97, 98, 99]))).toBe(abc);
    const path = join(folder(), 'abc');
    writeFileSync(path, 'abc');
    expect(await sha256File(path)).toBe(abc);
    await expect(sha256File(`${path}.gone`)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
