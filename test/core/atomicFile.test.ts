import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  recoverFolder,
  replaceFolder,
  writeError,
  writeFileAtomic,
  writeFolderAtomic,
} from '../../src/core/atomicFile.js';
import { FactError } from '../../src/core/errors.js';
import { asOrdinaryUser } from '../fixtures/ordinaryUser.js';
import { temporaryFolders } from '../fixtures/pictures.js';

const folder = temporaryFolders();

describe('writing a file', () => {
  it('replaces the content as a whole, from text, bytes or pieces, and leaves nothing else', () => {
    const root = folder();
    const path = join(root, 'new', 'a.txt');
    writeFileAtomic(path, 'old and longer');
    writeFileAtomic(path, new Uint8Array([1, 2]));
    expect([...readFileSync(path)]).toEqual([1, 2]);
    writeFileAtomic(path, [new Uint8Array([3]), new Uint8Array(), new Uint8Array([4, 5])]);
    expect([...readFileSync(path)]).toEqual([3, 4, 5]);
    expect(readdirSync(join(root, 'new'))).toEqual(['a.txt']);
  });

  it('that fails leaves the old file and no other', () => {
    const root = folder();
    const path = join(root, 'a.txt');
    writeFileAtomic(path, 'old');
    const broken = [new Uint8Array([1]), null as unknown as Uint8Array];
    expect(() => writeFileAtomic(path, broken)).toThrow(expect.objectContaining({ code: 'E_WRITE' }));
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(root)).toEqual(['a.txt']);
  });

  it('where it may not be written names the file and a remedy', () => {
    const root = folder();
    const locked = join(root, 'locked');
    mkdirSync(locked);
    chmodSync(root, 0o755);
    chmodSync(locked, 0o555);
    asOrdinaryUser(() => {
      expect(() => writeFileAtomic(join(locked, 'a.txt'), 'x')).toThrow(
        expect.objectContaining({
          code: 'E_WRITE',
          message: expect.stringContaining('a.txt'),
          remedy: expect.stringContaining('folder that you may write to'),
        }),
      );
    });
    expect(readdirSync(locked)).toEqual([]);
  });

  it('below a file, not a folder, is an error', () => {
    const root = folder();
    writeFileSync(join(root, 'file'), '');
    expect(() => writeFileAtomic(join(root, 'file', 'a.txt'), 'x')).toThrow(
      expect.objectContaining({ code: 'E_WRITE' }),
    );
  });

  it('on a full disk says so', () => {
    const error = writeError('/x', Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }));
    expect(error.remedy).toMatch(/Free some disk space/);
    expect(error.message).toContain('/x');
  });
});

describe('writing a folder', () => {
  it('replaces all of an old one', async () => {
    const root = folder();
    const target = join(root, 'model');
    await writeFolderAtomic(target, (f) => writeFileSync(join(f, 'one'), '1'));
    await writeFolderAtomic(target, async (f) => writeFileSync(join(f, 'two'), '2'));
    expect(readdirSync(target)).toEqual(['two']);
    expect(readdirSync(root)).toEqual(['model']);
  });

  it('that fails in the middle leaves the old one and passes typed errors on', async () => {
    const root = folder();
    const target = join(root, 'model');
    await writeFolderAtomic(target, (f) => writeFileSync(join(f, 'one'), '1'));
    const failing = writeFolderAtomic(target, (f) => {
      writeFileSync(join(f, 'half'), '');
      throw new FactError({ code: 'E_MINE', message: 'm', remedy: 'r' });
    });
    await expect(failing).rejects.toMatchObject({ code: 'E_MINE' });
    await expect(
      writeFolderAtomic(target, () => {
        throw new Error('other');
      }),
    ).rejects.toMatchObject({ code: 'E_WRITE', message: expect.stringContaining('other') });
    expect(readdirSync(target)).toEqual(['one']);
    expect(readdirSync(root)).toEqual(['model']);
    expect(existsSync(join(target, 'half'))).toBe(false);
  });
});

describe('replacing a folder', () => {
  /** What a process killed between the two renames leaves: the old folder aside, no target. */
  function killedHalfWay(root: string): string {
    const target = join(root, 'model');
    mkdirSync(join(root, '.model.replaced'));
    writeFileSync(join(root, '.model.replaced', 'old'), '1');
    return target;
  }

  it('that was killed between its two steps is undone by the next writer, also one that fails', async () => {
    const root = folder();
    const target = killedHalfWay(root);
    const failing = writeFolderAtomic(target, () => {
      throw new FactError({ code: 'E_TEST', message: 'no', remedy: 'none' });
    });
    await expect(failing).rejects.toMatchObject({ code: 'E_TEST' });
    recoverFolder(target);
    expect(readdirSync(target)).toEqual(['old']);
    await writeFolderAtomic(target, (f) => writeFileSync(join(f, 'new'), '2'));
    expect(readdirSync(target)).toEqual(['new']);
    expect(readdirSync(root)).toEqual(['model']);
  });

  it('that was killed after its second step leaves the new one; the old one goes', () => {
    const root = folder();
    const target = killedHalfWay(root);
    mkdirSync(target);
    writeFileSync(join(target, 'new'), '2');
    recoverFolder(target);
    expect(readdirSync(target)).toEqual(['new']);
    expect(readdirSync(root)).toEqual(['model']);
    recoverFolder(join(root, 'never'));
    expect(readdirSync(root)).toEqual(['model']);
  });

  it('that another process may be doing just now is left alone by readers', () => {
    const root = folder();
    const target = killedHalfWay(root);
    recoverFolder(target, 60_000);
    expect(readdirSync(root)).toEqual(['.model.replaced']);
  });

  it('with a folder that is not there leaves the old one', () => {
    const root = folder();
    const target = join(root, 'model');
    mkdirSync(target);
    expect(() => replaceFolder(join(root, 'none'), target)).toThrow(
      expect.objectContaining({ code: 'E_WRITE' }),
    );
    expect(readdirSync(root)).toEqual(['model']);
  });
});
