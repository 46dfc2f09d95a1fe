/**
 * Writes the table of operations in docs/engines.md by really running each of them on each engine:
 *     npx tsx scripts/engine-table.ts            rewrites the table
 *     npx tsx scripts/engine-table.ts --check    exit status 1 where the table is not what this machine finds
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { startEngine } from '../src/engine/start.js';
import { CASES } from './engineTable/cases.js';
import { COLUMNS, type Column, judge, measure, type Reference, reference } from './engineTable/measure.js';

const DOCUMENT = new URL('../docs/engines.md', import.meta.url);
const BEGIN = '<!-- table: made by scripts/engine-table.ts -->';
const END = '<!-- end of table -->';

async function references(): Promise<Reference[]> {
  await startEngine({ engine: 'cpu' });
  const results: Reference[] = [];
  for (const c of CASES) results.push(await reference(c));
  return results;
}

/** The cells of a column as the document has them now: for engines that are not installed here. */
function columnOf(document: string, title: string): string[] {
  const rows = document.split('\n').filter((line) => line.startsWith('| '));
  const cells = rows.map((line) => line.split('|').map((cell) => cell.trim()));
  const header = cells.findIndex((row) => row[1] === 'operation');
  const at = cells[header]?.indexOf(title) ?? -1;
  const byName = new Map(cells.slice(header + 2).map((row) => [row[1], row[at] ?? 'not run']));
  return CASES.map(({ name }) => byName.get(name) ?? 'not run');
}

async function isMissing({ engine, compiled }: Column): Promise<boolean> {
  try {
    await startEngine({ engine, threads: 1, compile: compiled });
    return false;
  } catch (error) {
    if (engine !== 'tensorflow' || (error as { code?: unknown }).code !== 'E_ENGINE_MISSING') throw error;
    process.stderr.write('tensorflow is not installed here: its column stays as it is\n');
    return true;
  }
}

/** The table in Markdown. Throws what `startEngine` throws where another engine than tensorflow is missing. */
export async function engineTable(document: string): Promise<string> {
  const expected = await references();
  const columns: string[][] = [];
  for (const column of COLUMNS) {
    const { compiled } = column;
    if (await isMissing(column)) {
      columns.push(columnOf(document, column.title));
      continue;
    }
    const cells: string[] = [];
    for (const [i, c] of CASES.entries()) cells.push(judge(c, await measure(c, compiled), expected[i]));
    columns.push(cells);
  }
  const rows = CASES.map(({ name }, i) => `| ${[name, ...columns.map((cells) => cells[i])].join(' | ')} |`);
  const titles = ['operation', ...COLUMNS.map(({ title }) => title)];
  return [`| ${titles.join(' | ')} |`, `| ${titles.map(() => '---').join(' | ')} |`, ...rows].join('\n');
}

async function main(): Promise<void> {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [from, to] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)];
  const updated = `${text.slice(0, from)}\n\n${await engineTable(text)}\n\n${text.slice(to)}`;
  if (process.argv.includes('--check')) {
    const isCurrent = updated === text;
    process.stderr.write(isCurrent ? 'docs/engines.md is current\n' : 'docs/engines.md is out of date\n');
    process.exitCode = isCurrent ? 0 : 1;
    return;
  }
  writeFileSync(DOCUMENT, updated);
}

await main();
