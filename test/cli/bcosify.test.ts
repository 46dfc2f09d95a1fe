import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SMALL, trained } from '../convert/standardNetworks.js';
import { useEngine } from '../engine.js';
import { temporaryFolders } from '../fixtures/pictures.js';
import { runFact } from './convertCommand.js';

useEngine();
const newFolder = temporaryFolders();

describe('fact convert --bcosify', () => {
  it('makes a network with the same logits, and says so', async () => {
    const folder = newFolder();
    const standard = trained(...SMALL[0]);
    await standard.save(join(folder, 'net'));
    standard.dispose();
    const target = join(folder, 'twin');
    const { status, stdout } = await runFact('convert', join(folder, 'net'), target, '--bcosify');
    expect(status).toBe(0);
    expect(stdout).toMatch(/torchvision_resnet\) -> .*bcosified_resnet\)/);
    expect(stdout).toMatch(/equal to the standard network's at B = 1 to \d\.\de-\d+/);
    const other = join(folder, 'other');
    const args = ['convert', join(folder, 'net'), other, '--bcosify', 'published', '--json'];
    const published = await runFact(...args);
    expect(JSON.parse(published.stdout)).toMatchObject({ form: 'published', to: 'bcosified_resnet' });
  });

  it('refuses another form, and options that mean nothing there', async () => {
    const target = join(newFolder(), 'twin');
    for (const args of [
      ['--bcosify', 'half'],
      ['--bcosify', '--dtype', 'float16'],
      ['--bcosify', '--check'],
    ]) {
      const { status, stderr } = await runFact('convert', 'nothing.pth', target, ...args);
      expect(status).toBe(2);
      expect(stderr).toContain('E_USAGE');
    }
    expect(existsSync(target)).toBe(false);
  });
});
