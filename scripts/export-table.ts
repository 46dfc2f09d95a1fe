/**
 * Writes the table of storage variants in docs/export.md: exports the shipped network as f32, f16 and int8, runs all
 * three on the same photographs in onnxruntime-node and compares the explanations:
 *     npx tsx scripts/export-table.ts FOLDER_OF_PICTURES [number of pictures, default 250]
 * Run it from this repository's root, so that tsconfig.json applies.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listImages } from '../src/data/listImages.js';
import { WEIGHT_STORAGES, type WeightStorage } from '../src/engine/onnx/weightStorage.js';
import { startEngine } from '../src/engine/start.js';
import { toPlanes, worstLedgerError } from '../src/explain/exported/check.js';
import { exportModel } from '../src/explain/exported/exportModel.js';
import { ExportedFile, type OutputArray } from '../src/explain/exported/file.js';
import { readImage } from '../src/explain/session/imageFiles.js';
import { defaultModelFolder, openSaes } from '../src/explain/session/shipped.js';
import { loadModel } from '../src/models/loadModel.js';

const DOCUMENT = new URL('../docs/export.md', import.meta.url);
const BEGIN = '<!-- table: made by scripts/export-table.ts -->';
const END = '<!-- end of table -->';
/** Outputs whose change is measured. */
const COMPARED = ['logits', 'presence', 'contributions', 'class_map', 'concept_maps'] as const;
const TOP = 3;

type Outputs = Record<string, OutputArray>;

interface Row {
  readonly weights: WeightStorage;
  readonly bytes: number;
  ledger: number;
  /** Of all pictures: the relative change of each output. */
  readonly changes: Record<(typeof COMPARED)[number], number[]>;
  sameAnswer: number;
  sameTop: number;
  sameTopSet: number;
}

/** |a - b| / |b| */
function change(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return Math.sqrt(difference / size);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function note(
  row: Row,
  outputs: Outputs,
  ids: readonly number[],
  reference: Outputs,
  referenceIds: readonly number[],
): void {
  row.ledger = Math.max(row.ledger, worstLedgerError(outputs));
  for (const name of COMPARED) row.changes[name].push(change(outputs[name].data, reference[name].data));
  row.sameAnswer += outputs.predicted.data[0] === reference.predicted.data[0] ? 1 : 0;
  row.sameTop += ids.join() === referenceIds.join() ? 1 : 0;
  row.sameTopSet += [...ids].sort().join() === [...referenceIds].sort().join() ? 1 : 0;
}

function number(value: number): string {
  return value < 1e-4 ? value.toExponential(1) : value < 0.01 ? value.toFixed(5) : value.toFixed(3);
}

function table(rows: readonly Row[], pictures: number): string {
  const cell = (row: Row, name: (typeof COMPARED)[number]): string =>
    row.weights === 'f32'
      ? '-'
      : `${number(quantile(row.changes[name], 0.5))} / ${number(quantile(row.changes[name], 0.95))}`;
  const percent = (count: number): string => `${((100 * count) / pictures).toFixed(1)} %`;
  const lines: [string, (row: Row) => string][] = [
    ['file, MB', (row) => (row.bytes / 1e6).toFixed(2)],
    ['largest relative error of a ledger', (row) => row.ledger.toExponential(1)],
    ...COMPARED.map((name): [string, (row: Row) => string] => [
      `change of ${name.replace('_', ' ')}, median / 95 %`,
      (row) => cell(row, name),
    ]),
    ['same answer (top 1)', (row) => percent(row.sameAnswer)],
    ['same first 3 concepts, in order', (row) => percent(row.sameTop)],
    ['same first 3 concepts, in any order', (row) => percent(row.sameTopSet)],
  ];
  return [
    `| ${pictures} photographs | ${rows.map((row) => row.weights).join(' | ')} |`,
    `| --- |${rows.map(() => ' --- |').join('')}`,
    ...lines.map(([title, of]) => `| ${title} | ${rows.map(of).join(' | ')} |`),
  ].join('\n');
}

async function main(folder: string, count: number): Promise<void> {
  await startEngine({ engine: 'onnx' });
  const modelFolder = defaultModelFolder();
  const model = await loadModel(modelFolder);
  const saes = await openSaes(model, modelFolder, []);
  const temporary = mkdtempSync(join(tmpdir(), 'fact-export-table-'));
  const files: { readonly row: Row; readonly file: ExportedFile }[] = [];
  try {
    for (const weights of WEIGHT_STORAGES) {
      const path = join(temporary, `${weights}.onnx`);
      const source = { model, sae: saes.concepts?.sae ?? null, early: saes.traces?.sae ?? null };
      writeFileSync(path, exportModel(source, { weights, packageVersion: 'table' }).bytes);
      const changes = Object.fromEntries(COMPARED.map((name) => [name, []])) as unknown as Row['changes'];
      const row: Row = {
        weights,
        bytes: statSync(path).size,
        ledger: 0,
        changes,
        sameAnswer: 0,
        sameTop: 0,
        sameTopSet: 0,
      };
      files.push({ row, file: await ExportedFile.open(path) });
    }
    const all = listImages([folder]);
    const paths = all.filter(
      (_, i) => Math.floor((i * count) / all.length) !== Math.floor(((i - 1) * count) / all.length),
    );
    const want = ['want_contributions', 'want_class_map', 'want_concept_maps', 'want_traces'] as const;
    const ranks = Array.from({ length: TOP }, (_, i) => -1 - i);
    for (const path of paths) {
      const planes = toPlanes((await readImage(path, model.spec)).pixels);
      const first = await files[0].file.run(planes, { want, concepts: [ranks] });
      const ids = Array.from(first.concept_ids.data);
      // The class that the exact network answers is explained by all, so that like is compared with like.
      const weights = Float32Array.from({ length: model.spec.options.numClasses }, (_, i) =>
        i === first.predicted.data[0] ? 1 : 0,
      );
      for (const { row, file } of files) {
        const ranked = await file.run(planes, {
          want: ['want_contributions', 'want_concept_maps'],
          concepts: [ranks],
          classWeights: [weights],
        });
        const outputs = await file.run(planes, { want, concepts: [ids], classWeights: [weights] });
        note(row, outputs, Array.from(ranked.concept_ids.data), first, ids);
      }
    }
    const text = table(
      files.map(({ row }) => row),
      paths.length,
    );
    console.log(text);
    const document = readFileSync(DOCUMENT, 'utf8');
    const [before, rest] = document.split(BEGIN);
    writeFileSync(DOCUMENT, `${before}${BEGIN}\n\n${text}\n\n${END}${rest.split(END)[1]}`);
  } finally {
    for (const { file } of files) await file.close();
    rmSync(temporary, { recursive: true, force: true });
    saes.concepts?.sae.dispose();
    saes.traces?.sae.dispose();
    model.dispose();
  }
}

const [folder, count = '250'] = process.argv.slice(2);
if (folder === undefined) throw new Error('give a folder of pictures');
await main(folder, Number(count));
