/**
 * Writes src/convert/recognise/signatures.ts from the registry: run it when an architecture is added or changed.
 * npx tsx scripts/signatures.ts
 */
import { writeFileSync } from 'node:fs';
import {
  digestOf,
  headOf,
  type Signature,
  shapesDigestOf,
  signatureLine,
  sketchOf,
} from '../src/convert/recognise/signature.js';
import { startEngine } from '../src/engine/start.js';
import { createModel } from '../src/models/createModel.js';
import type { ModelEntry } from '../src/models/modelEntry.js';
import type { ResolvedOptions } from '../src/models/options.js';
import { listModels } from '../src/models/registry.js';

await startEngine({ engine: 'cpu' });
const byDigest = new Map<string, Omit<Signature, 'archs'> & { archs: [string, number][] }>();
/** Published networks before general ones, then the norms of the published networks. */
const rank = (entry: ModelEntry): number => {
  const { norm } = entry.defaults as Partial<ResolvedOptions>;
  const isUsual = norm === undefined || norm === 'bnu' || norm === 'identity';
  return 2 * Number(entry.general) + Number(!isUsual);
};
for (const { name, defaults } of listModels().toSorted((a, b) => rank(a) - rank(b))) {
  const model = createModel(name, { weights: 'zero' });
  const tensors = model.stateDict();
  const digest = digestOf(tensors);
  const known = byDigest.get(digest);
  const arch: [string, number] = [name, defaults.numClasses];
  if (known === undefined)
    byDigest.set(digest, {
      archs: [arch],
      rows: (defaults as Partial<ResolvedOptions>).maxOut ?? 1,
      digest,
      shapes: shapesDigestOf(tensors),
      first: tensors[0].name,
      head: headOf(tensors)?.name ?? '',
      sketch: sketchOf(tensors),
    });
  else known.archs.push(arch);
  model.dispose();
  process.stderr.write(`${name} ${digest}\n`);
}
// A general network is named only where no other one has its names and shapes.
const generals = new Set(listModels().flatMap(({ name, general }) => (general ? [name] : [])));
for (const signature of byDigest.values()) {
  const others = signature.archs.filter(([name]) => !generals.has(name));
  if (others.length > 0) signature.archs = others;
}
writeFileSync(
  new URL('../src/convert/recognise/signatures.ts', import.meta.url),
  `import { parseSignatures, type Signature } from './signature.js';

/** Signatures of all networks of the registry. Made by scripts/signatures.ts; do not edit. */
export const SIGNATURES: readonly Signature[] = parseSignatures(\`
${[...byDigest.values()].map(signatureLine).join('\n')}
\`);
`,
);
