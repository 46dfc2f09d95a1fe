import {
  chmodSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiskCache } from '../../src/core/diskCache.js';
import { sha256 } from '../../src/core/hash.js';
import { isCacheOff, userCacheFolder } from '../../src/core/userCache.js';
import { asOrdinaryUser } from '../fixtures/ordinaryUser.js';
import { temporaryFolders } from '../fixtures/pictures.js';

const folder = temporaryFolders();
const bytes = (value: number, length = 1000): Uint8Array => new Uint8Array(length).fill(value);

function opened(root: string, limitBytes?: number): { cache: DiskCache; troubles: string[] } {
  const troubles: string[] = [];
  const cache = DiskCache.open(root, {
    onTrouble: (what) => troubles.push(what),
    ...(limitBytes === undefined ? {} : { limitBytes }),
  });
  if (cache === null) throw new Error(troubles.join());
  return { cache, troubles };
}

describe('a cache on disk', () => {
  it('gives back what was put in, to other processes too, and nothing for other keys', () => {
    const root = join(folder(), 'cache');
    opened(root).cache.write('a', { size: [1, 2] }, bytes(1));
    const { cache, troubles } = opened(root);
    expect(cache.read('a')).toEqual({ note: { size: [1, 2] }, bytes: Buffer.from(bytes(1)) });
    expect(cache.read('b')).toBeNull();
    expect(troubles).toEqual([]);
  });

  it('replaces entries, stores equal content once and leaves no temporary file', () => {
    const root = folder();
    chmodSync(root, 0o700);
    const { cache } = opened(root);
    cache.write('a', 1, bytes(1));
    cache.write('b', 2, bytes(1));
    cache.write('a', 3, bytes(1));
    expect(cache.read('a')?.note).toBe(3);
    expect(cache.read('b')?.note).toBe(2);
    expect(readdirSync(root).sort()).toEqual([`${sha256(bytes(1))}.bin`, 'a.json', 'b.json'].sort());
  });

  it.runIf(process.platform !== 'win32')('is readable by its owner only', () => {
    const root = join(folder(), 'cache');
    opened(root).cache.write('a', 1, bytes(1));
    expect(statSync(root).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(root)) expect(statSync(join(root, name)).mode & 0o777).toBe(0o600);
  });

  it.runIf(process.platform !== 'win32')('that others may write to is not used', () => {
    const root = folder();
    chmodSync(root, 0o777);
    const troubles: string[] = [];
    expect(DiskCache.open(root, { onTrouble: (what) => troubles.push(what) })).toBeNull();
    expect(troubles[0]).toContain('others may write to it');
  });

  it('notices damage at any place, and then has no entry', () => {
    const root = join(folder(), 'cache');
    const data = join(root, `${sha256(bytes(1))}.bin`);
    const damages: [string, () => void][] = [
      ['a changed byte', () => writeFileSync(data, Buffer.from(bytes(1)).fill(7, 500, 501))],
      ['content cut', () => writeFileSync(data, bytes(1, 999))],
      ['content gone', () => rmSync(data)],
      [
        'index cut',
        () => writeFileSync(join(root, 'a.json'), readFileSync(join(root, 'a.json')).subarray(0, 30)),
      ],
      ['index of another program', () => writeFileSync(join(root, 'a.json'), '{"format":"x"}')],
      ['index that is null', () => writeFileSync(join(root, 'a.json'), 'null')],
      [
        'index that points elsewhere',
        () =>
          writeFileSync(
            join(root, 'a.json'),
            JSON.stringify({ format: 'fact-cache', sha256: '../../etc/passwd', note: 1 }),
          ),
      ],
    ];
    for (const [name, damage] of damages) {
      const { cache, troubles } = opened(root);
      cache.write('a', 1, bytes(1));
      damage();
      expect(cache.read('a'), name).toBeNull();
      expect(troubles, name).toHaveLength(1);
      cache.write('a', 2, bytes(1));
      expect(cache.read('a')?.note, name).toBe(2);
    }
  });

  it('holds a bounded number of bytes: what was unused for longest goes first, the newest stays', () => {
    const root = join(folder(), 'cache');
    const { cache } = opened(root, 3500);
    const age = (name: string, seconds: number): void => {
      const then = new Date(Date.now() - seconds * 1000);
      utimesSync(join(root, `${name}.json`), then, then);
      utimesSync(join(root, `${sha256(bytes(name.charCodeAt(0)))}.bin`), then, then);
    };
    for (const name of ['a', 'b', 'c']) {
      cache.write(name, name, bytes(name.charCodeAt(0)));
      age(name, 1000);
    }
    age('a', 3000);
    age('b', 2000);
    expect(cache.read('a')?.note).toBe('a');
    cache.write('d', 'd', bytes(100));
    expect(['a', 'b', 'c', 'd'].map((name) => cache.read(name)?.note ?? null)).toEqual(['a', null, 'c', 'd']);
    cache.write('large', 1, bytes(9, 10_000));
    expect(cache.read('large')?.note).toBe(1);
    const total = readdirSync(root).reduce((sum, name) => sum + statSync(join(root, name)).size, 0);
    expect(total).toBeLessThan(10_000 + 3500);
  });

  it('keeps the entry just written where another seems to be newer: clocks differ', () => {
    const root = join(folder(), 'cache');
    const { cache } = opened(root, 3500);
    cache.write('a', 1, bytes(1));
    const later = new Date(Date.now() + 10_000);
    utimesSync(join(root, 'a.json'), later, later);
    cache.write('large', 2, bytes(9, 10_000));
    expect(cache.read('large')?.note).toBe(2);
    expect(cache.read('a')).toBeNull();
  });

  it('removes what dead processes left unfinished', () => {
    const root = join(folder(), 'cache');
    const { cache } = opened(root);
    writeFileSync(cache.temporaryPath(), bytes(1));
    const fresh = cache.temporaryPath();
    for (const name of readdirSync(root)) utimesSync(join(root, name), new Date(0), new Date(0));
    writeFileSync(fresh, bytes(1));
    cache.write('a', 1, bytes(1));
    expect(readdirSync(root).filter((name) => name.endsWith('.tmp'))).toHaveLength(1);
    expect(cache.takeFile(fresh)).toEqual(Buffer.from(bytes(1)));
    expect(cache.takeFile(fresh)).toBeNull();
  });

  it('on a folder that may not be written still reads, and does not fail where it writes', () => {
    const root = folder();
    chmodSync(root, 0o755);
    const locked = join(root, 'locked');
    opened(locked).cache.write('a', 1, bytes(1));
    for (const name of readdirSync(locked)) chmodSync(join(locked, name), 0o444);
    chmodSync(locked, 0o555);
    asOrdinaryUser(() => {
      const { cache, troubles } = opened(locked);
      expect(cache.read('a')?.note).toBe(1);
      cache.write('b', 2, bytes(2));
      cache.remove('a');
      expect(troubles).toHaveLength(2);
      expect(cache.read('a')?.note).toBe(1);
      const missing: string[] = [];
      expect(DiskCache.open(join(locked, 'new'), { onTrouble: (what) => missing.push(what) })).toBeNull();
      expect(missing[0]).toContain('is not used');
    });
    chmodSync(locked, 0o700);
  });

  it('never follows a link out of its folder', () => {
    const root = folder();
    const inside = join(root, 'cache');
    const { cache } = opened(inside);
    cache.write('a', 1, bytes(1));
    const data = join(inside, `${sha256(bytes(1))}.bin`);
    rmSync(data);
    symlinkSync(join(root, 'outside'), data);
    expect(cache.read('a')).toBeNull();
    cache.write('a', 2, bytes(1));
    expect(cache.read('a')?.note).toBe(2);
    expect(readdirSync(root)).toEqual(['cache']);
  });

  it('lies in a folder of programs of the user cache, unless FACT_CACHE=off', () => {
    expect(isCacheOff({ FACT_CACHE: 'off' })).toBe(true);
    expect(isCacheOff({})).toBe(false);
    expect(userCacheFolder({ FACT_CACHE: 'off', XDG_CACHE_HOME: '/x' }, 'linux')).toBe('/x/fact-tfjs');
  });
});
