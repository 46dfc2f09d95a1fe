/**
 * Writes src/convert/signatures.ts from the registry: run it when an architecture is added or changed.
 * npx tsx scripts/signatures.ts
 */
import { writeFileSync } from 'node:fs';
import { digestOf, headOf, type Signature, sketchOf } from '../src/convert/signature.js';
import { startEngine } from '../src/engine/start.js';
import { createModel } from '../src/models/createModel.js';
import { listModels } from '../src/models/registry.js';

await startEngine({ engine: 'cpu' });
const byDigest = new Map<string, Signature & { archs: string[] }>();
for (const { name } of listModels()) {
  const model = createModel(name, { weights: 'zero' });
  const tensors = model.stateDict();
  const digest = digestOf(tensors);
  const known = byDigest.get(digest);
  if (known === undefined)
    byDigest.set(digest, {
      archs: [name],
      digest,
      first: tensors[0].name,
      head: headOf(tensors)?.name ?? '',
      sketch: sketchOf(tensors),
    });
  else known.archs.push(name);
  model.dispose();
  process.stderr.write(`${name} ${digest}\n`);
}
const rows = [...byDigest.values()].map((signature: Signature) => {
  const { archs, digest, first, head, sketch } = signature;
  const names = archs.map((arch) => `'${arch}'`).join(', ');
  return `  {\n    archs: [${names}],\n    digest: '${digest}',\n    first: '${first}',\n    head: '${head}',\n    sketch:\n      '${sketch}',\n  },`;
});
writeFileSync(
  new URL('../src/convert/signatures.ts', import.meta.url),
  `import type { Signature } from './signature.js';

/** Signatures of all networks of the registry. Made by scripts/signatures.ts; do not edit. */
export const SIGNATURES: readonly Signature[] = [
${rows.join('\n')}
];
`,
);
