import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const DEMO = join(ROOT, 'docs', 'demo');
const SOURCE = join(ROOT, 'src', 'explain', 'browser');

describe('the page of docs/demo', () => {
  it('is the one that the sources make (otherwise: npm run demo)', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fact-demo-'));
    try {
      const bundle = join(folder, 'page.js');
      const script = join(ROOT, 'scripts', 'pageBundle.mjs');
      const { status, stderr } = spawnSync(process.execPath, [script, bundle], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      expect(stderr).toBe('');
      expect(status).toBe(0);
      expect(readFileSync(join(DEMO, 'page.js'), 'utf8') === readFileSync(bundle, 'utf8')).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    for (const name of ['index.html', 'isolation-worker.js'])
      expect(readFileSync(join(DEMO, name), 'utf8')).toBe(readFileSync(join(SOURCE, name), 'utf8'));
  });
});
