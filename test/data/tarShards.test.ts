import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { evaluationSplit, listSplits, openImageSource } from '../../src/data/imageSource.js';
import { type Member, shardMembers, temporaryFolders, writeShards, writeTar } from '../fixtures/pictures.js';

const folder = temporaryFolders();

async function shard(members: readonly Member[], index?: unknown, name = 'x-train-000.tar.gz') {
  const root = folder();
  await writeTar(join(root, name), members);
  if (index !== undefined) writeFileSync(join(root, 'index.json'), JSON.stringify(index));
  return root;
}

const failureOf = (root: string) =>
  openImageSource(root).then(
    () => null,
    (error) => error,
  );

describe('shards', () => {
  it('hold the pictures in order, compressed or not', async () => {
    const members = await shardMembers(5, 3);
    for (const name of ['x-train-000.tar', 'x-train-000.tar.gz', 'x-train-000.tgz']) {
      const root = await shard(members, { classes: ['a', 'b', 'c'] }, name);
      const source = await openImageSource(root);
      expect(source.size).toBe(5);
      for (let i = 0; i < 5; i++) {
        expect(source.key(i)).toBe(`p000${i}`);
        expect(source.label(i)).toBe(i % 3);
        expect(Buffer.from(await source.read(i))).toEqual(Buffer.from(members[2 * i].content as Buffer));
      }
      source.close();
    }
  });

  it('are chosen by the split in their names, sorted', async () => {
    const root = folder();
    const names = ['d-train-001.tar.gz', 'd-val-000.tar.gz', 'd-train-000.tar.gz'];
    await writeShards(root, names, 2, ['a', 'b']);
    expect(listSplits(root)).toEqual(['train', 'val']);
    expect(evaluationSplit(root)).toBe('val');
    const train = await openImageSource(root, { split: 'train' });
    expect([0, 1, 2, 3].map((i) => train.key(i))).toEqual(['p0004', 'p0005', 'p0000', 'p0001']);
    expect((await openImageSource(root, { split: 'val' })).size).toBe(2);
    await expect(openImageSource(root)).rejects.toMatchObject({ code: 'E_DATA_SPLIT' });
    await expect(openImageSource(root, { split: 'test' })).rejects.toMatchObject({ code: 'E_DATA_SPLIT' });
  });

  it('can be opened one by one and without an index', async () => {
    const root = await shard(await shardMembers(4, 3));
    const source = await openImageSource(join(root, 'x-train-000.tar.gz'));
    expect(source.classNames).toEqual(['0', '1', '2']);
    expect(source.classIds).toBeNull();
  });

  it('may hold long names, folders and other members', async () => {
    const [picture, label] = await shardMembers(1, 1);
    const long = `${'deep/'.repeat(30)}${'n'.repeat(120)}é`;
    for (const name of ['x-train-0.tar', 'x-train-0.tar.gz']) {
      const root = await shard(
        [
          { name: 'deep', type: 'directory' },
          { name: `${long}.json`, content: '{}' },
          { ...picture, name: `${long}.JPEG` },
          { ...label, name: `${long}.cls` },
        ],
        undefined,
        name,
      );
      const source = await openImageSource(root);
      expect(source.key(0)).toBe(long);
      expect(Buffer.from(await source.read(0))).toEqual(picture.content);
      expect(source.warnings[0]).toMatch(/^1 members/);
      source.close();
    }
  });

  it('may hold a sample named __proto__', async () => {
    const [picture, label] = await shardMembers(1, 1);
    const root = await shard([
      { ...picture, name: '__proto__.jpg' },
      { ...label, name: '__proto__.cls' },
    ]);
    expect((await openImageSource(root)).key(0)).toBe('__proto__');
  });
});

describe('a faulty shard', () => {
  it('cut at any place is an error that names it', async () => {
    const root = await shard(await shardMembers(6, 2));
    const path = join(root, 'x-train-000.tar.gz');
    const whole = readFileSync(path);
    for (const share of [0, 0.01, 0.3, 0.7, 0.999]) {
      writeFileSync(path, whole.subarray(0, Math.floor(whole.length * share)));
      const error = await failureOf(root);
      expect(['E_SHARD_CORRUPT', 'E_DATA_EMPTY']).toContain(error.code);
      expect(error.message).toContain(path);
    }
  });

  it('uncompressed and cut is an error that names it', async () => {
    const root = await shard(await shardMembers(6, 2), undefined, 'x.tar');
    truncateSync(join(root, 'x.tar'), 3000);
    expect(await failureOf(root)).toMatchObject({
      code: 'E_SHARD_CORRUPT',
      message: expect.stringContaining('x.tar'),
    });
  });

  it('with one byte changed in the compressed stream is an error', async () => {
    const root = await shard(await shardMembers(6, 2));
    const path = join(root, 'x-train-000.tar.gz');
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 0xff;
    writeFileSync(path, bytes);
    expect((await failureOf(root)).code).toMatch(/^E_SHARD_/);
  });

  it('that is a web page, or gzip of something else, is an error', async () => {
    const root = folder();
    writeFileSync(join(root, 'x.tar.gz'), '<!DOCTYPE html>');
    expect(await failureOf(root)).toMatchObject({ code: 'E_SHARD_CORRUPT' });
    writeFileSync(join(root, 'x.tar.gz'), gzipSync(Buffer.alloc(2000, 65)));
    expect(await failureOf(root)).toMatchObject({ code: 'E_SHARD_CORRUPT' });
    writeFileSync(join(root, 'x.tar.gz'), gzipSync(gunzipSync(gzipSync(''))));
    expect(await failureOf(root)).toMatchObject({ code: 'E_DATA_EMPTY' });
  });

  it('with a sample named twice, without label or without picture names the member', async () => {
    const [picture, label] = await shardMembers(1, 1);
    const cases: [Member[], string, string][] = [
      [[picture, label, picture], 'E_SHARD_DUPLICATE', 'p0000.jpg'],
      [[picture, { ...picture, name: 'p0000.png' }, label], 'E_SHARD_DUPLICATE', 'p0000.png'],
      [[picture, label, label], 'E_SHARD_DUPLICATE', 'p0000.cls'],
      [[picture], 'E_SHARD_LABEL', 'p0000.cls'],
      [[label], 'E_SHARD_IMAGE', 'p0000.cls'],
      [[picture, { name: 'p0000.cls', content: 'cat' }], 'E_SHARD_LABEL', 'cat'],
      [[picture, { name: 'p0000.cls', content: '-1' }], 'E_SHARD_LABEL', '-1'],
      [[picture, { name: 'p0000.cls', content: '1'.repeat(100) }], 'E_SHARD_LABEL', '100 bytes'],
      [[picture, { name: 'p0000.cls', type: 'symlink' }], 'E_SHARD_MEMBER', 'symlink'],
    ];
    for (const [members, code, part] of cases) {
      for (const name of ['x.tar.gz', 'x.tar']) {
        const root = await shard(members, undefined, name);
        const error = await failureOf(root);
        expect(error).toMatchObject({ code });
        expect(error.message).toContain(part);
        expect(error.message).toContain(join(root, name));
      }
    }
  });

  it('with a label beyond the classes names shard, member and class', async () => {
    const root = await shard(await shardMembers(4, 4), { classes: ['a', 'b'] });
    expect(await failureOf(root)).toMatchObject({
      code: 'E_LABEL_RANGE',
      message: expect.stringMatching(/x-train-000\.tar\.gz: p0002\.cls holds class 2/),
    });
  });

  it('that differs from its index in size or count is an error', async () => {
    const members = await shardMembers(4, 2);
    const root = await shard(members);
    const path = join(root, 'x-train-000.tar.gz');
    const bytes = readFileSync(path).length;
    const write = (entry: unknown) =>
      writeFileSync(
        join(root, 'index.json'),
        JSON.stringify({ classes: ['a', 'b'], shards: { 'x-train-000.tar.gz': entry } }),
      );
    write({ images: 4, bytes });
    expect(await failureOf(root)).toBeNull();
    write({ images: 5, bytes });
    expect(await failureOf(root)).toMatchObject({ code: 'E_SHARD_COUNT' });
    write({ images: 4, bytes: bytes + 1 });
    expect(await failureOf(root)).toMatchObject({ code: 'E_SHARD_SIZE' });
  });

  it('that the index names but the folder lacks is an error', async () => {
    const entry = { images: 4, bytes: 1 };
    const root = await shard(await shardMembers(4, 2), {
      classes: ['a', 'b'],
      shards: { 'x-train-001.tar.gz': entry },
    });
    expect(await failureOf(root)).toMatchObject({
      code: 'E_SHARD_MISSING',
      message: expect.stringContaining('x-train-001.tar.gz'),
    });
  });
});
