import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listFolder } from '../../src/data/imageFolder.js';
import { evaluationSplit, listSplits, openImageSource } from '../../src/data/imageSource.js';
import { listImages } from '../../src/data/listImages.js';
import { asOrdinaryUser } from '../fixtures/ordinaryUser.js';
import { temporaryFolders } from '../fixtures/pictures.js';

const folder = temporaryFolders();

/** Creates files (content = their path) below a new folder. */
function tree(...paths: string[]): string {
  const root = folder();
  for (const path of paths) {
    const parts = path.split('/');
    mkdirSync(join(root, ...parts.slice(0, -1)), { recursive: true });
    if (parts.at(-1) !== '') writeFileSync(join(root, path), path);
  }
  return root;
}

const keysOf = (source: { size: number; key(i: number): string; label(i: number): number }) =>
  Array.from({ length: source.size }, (_, i) => `${source.label(i)} ${source.key(i)}`);

describe('a folder of class folders', () => {
  it('numbers classes and pictures by sorted name', async () => {
    const source = await openImageSource(tree('b/2.JPG', 'b/10.png', 'a/x.webp', 'a/.hidden.jpg'));
    expect(source.classNames).toEqual(['a', 'b']);
    expect(keysOf(source)).toEqual(['0 a/x.webp', '1 b/10.png', '1 b/2.JPG']);
    expect(Buffer.from(await source.read(2)).toString()).toBe('b/2.JPG');
    source.close();
  });

  it('takes names of classes from index.json, in its order', async () => {
    const root = tree('n1/a.jpg', 'n2/b.jpg');
    const classes = [
      { wnid: 'n2', name: 'koala' },
      { wnid: 'n1', name: 'tabby' },
    ];
    writeFileSync(join(root, 'index.json'), JSON.stringify({ classes }));
    const source = await openImageSource(root);
    expect(source.classNames).toEqual(['koala', 'tabby']);
    expect(source.classIds).toEqual(['n2', 'n1']);
    expect(keysOf(source)).toEqual(['0 n2/b.jpg', '1 n1/a.jpg']);
  });

  it('divided into train and val needs to know which', async () => {
    const root = tree('train/a/1.jpg', 'train/b/1.jpg', 'val/a/2.jpg', 'val/b/2.jpg');
    expect(listSplits(root)).toEqual(['train', 'val']);
    expect(evaluationSplit(root)).toBe('val');
    expect(keysOf(await openImageSource(root, { split: 'val' }))).toEqual(['0 a/2.jpg', '1 b/2.jpg']);
    await expect(openImageSource(root)).rejects.toMatchObject({ code: 'E_DATA_SPLIT' });
    await expect(openImageSource(root, { split: 'test' })).rejects.toMatchObject({
      code: 'E_DATA_SPLIT',
      message: expect.stringContaining('train, val'),
    });
  });

  it('reports empty class folders and files that are no pictures', async () => {
    const source = await openImageSource(tree('a/1.jpg', 'a/notes.txt', 'empty/'));
    expect(source.classNames).toEqual(['a', 'empty']);
    expect(source.warnings.join('\n')).toMatch(/notes\.txt[\s\S]*class 1 \(empty\) has no pictures/);
  });

  it('ends in a loop of symbolic links and passes over broken ones', async () => {
    const root = tree('a/1.jpg', 'b/2.jpg');
    symlinkSync('..', join(root, 'a', 'up'));
    symlinkSync('self.jpg', join(root, 'a', 'self.jpg'));
    symlinkSync('gone.jpg', join(root, 'b', 'broken.jpg'));
    symlinkSync('../a/1.jpg', join(root, 'b', '3.jpg'));
    const source = await openImageSource(root);
    const keys = keysOf(source);
    expect(keys).toContain('1 b/3.jpg');
    expect(new Set(keys).size).toBe(keys.length);
    expect(source.warnings.join('\n')).toContain('self.jpg');
    expect(source.warnings.join('\n')).toContain('broken.jpg');
  });

  it('works with names outside ASCII', async () => {
    const source = await openImageSource(tree('Äpfel/猫.jpg', 'zebra/🐈.png'));
    expect(keysOf(source)).toEqual(['0 zebra/🐈.png', '1 Äpfel/猫.jpg']);
  });

  it('without pictures, without a folder, or with another number of classes is an error', async () => {
    await expect(openImageSource(tree('a/readme.txt'))).rejects.toMatchObject({ code: 'E_DATA_EMPTY' });
    await expect(openImageSource('/nowhere')).rejects.toMatchObject({ code: 'E_DATA_MISSING' });
    await expect(openImageSource(join(tree('a.jpg'), 'a.jpg'))).rejects.toMatchObject({
      code: 'E_DATA_FORMAT',
    });
    await expect(openImageSource(tree('a/1.jpg', 'b/1.jpg'), { classes: 50 })).rejects.toMatchObject({
      code: 'E_DATA_CLASSES',
      message: expect.stringMatching(/2 classes.*50/),
    });
  });

  it('that is not in the index is an error that names it', async () => {
    const root = tree('a/1.jpg', 'typo/1.jpg');
    writeFileSync(join(root, 'index.json'), '{"classes": ["a", "b"]}');
    await expect(openImageSource(root)).rejects.toMatchObject({
      code: 'E_DATA_CLASS_FOLDER',
      message: expect.stringContaining('typo'),
    });
  });

  it('that may not be listed is an error that names it', () => {
    const root = tree('locked/1.jpg');
    chmodSync(join(root, 'locked'), 0);
    chmodSync(root, 0o755);
    asOrdinaryUser(() => {
      expect(() => listFolder(join(root, 'locked'))).toThrow(
        expect.objectContaining({ code: 'E_DATA_UNREADABLE', message: expect.stringContaining('locked') }),
      );
    });
    chmodSync(join(root, 'locked'), 0o700);
  });
});

describe('an index.json', () => {
  it.each([
    ['not JSON', '{'],
    ['no classes', '{}'],
    ['an empty list of classes', '{"classes": []}'],
    ['a class that is a number', '{"classes": [1]}'],
    ['a negative count', '{"classes": ["a"], "shards": {"x": {"images": -1, "bytes": 1}}}'],
  ])('with %s is refused', async (_, text) => {
    const root = tree('a/1.jpg');
    writeFileSync(join(root, 'index.json'), text);
    await expect(openImageSource(root)).rejects.toMatchObject({
      code: 'E_DATA_INDEX',
      message: expect.stringContaining('index.json'),
    });
  });
});

describe('the pictures that a user names', () => {
  it('are files as they are and folders with all below them', () => {
    const root = tree('odd.name', 'x/2.jpg', 'x/1.jpg', 'x/y/3.png', 'x/no.txt');
    expect(listImages([join(root, 'odd.name'), join(root, 'x')])).toEqual(
      ['odd.name', 'x/1.jpg', 'x/2.jpg', 'x/y/3.png'].map((name) => join(root, name)),
    );
  });

  it('must exist', () => {
    expect(() => listImages(['/nowhere.jpg'])).toThrow(expect.objectContaining({ code: 'E_IMAGE_MISSING' }));
    expect(() => listImages([tree('no.txt')])).toThrow(expect.objectContaining({ code: 'E_DATA_EMPTY' }));
  });
});
