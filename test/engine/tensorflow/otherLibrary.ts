import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A shared library of this machine that is not TensorFlow, koffi's own; null where koffi is not installed. */
export function otherLibrary(): string | null {
  try {
    const require = createRequire(import.meta.url);
    const manifest = `@koromix/koffi-${process.platform}-${process.arch}/package.json`;
    const root = dirname(createRequire(require.resolve('koffi')).resolve(manifest));
    const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
    const name = names.find((path) => path.endsWith('.node') && !path.includes('musl'));
    return name === undefined ? null : join(root, name);
  } catch {
    return null;
  }
}
