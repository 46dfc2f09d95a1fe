import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeError, writeFileAtomic } from '../../core/atomicFile.js';
import type { SaeStepReport } from './trainer.js';

/** A row of summary.csv: one epoch, counted from 1; means over its updates. */
export interface SaeEpochSummary {
  readonly epoch: number;
  readonly update: number;
  readonly learningRate: number;
  readonly loss: number;
  readonly l2: number;
  readonly aux: number;
  readonly l0: number;
  /** Concepts that are dead (by their counters) after the epoch's last update. */
  readonly dead: number;
  /** Concepts that fired in no row of the epoch. */
  readonly silent: number;
  /** Concepts that fired in at least 60 % of the epoch's rows. */
  readonly tooActive: number;
  readonly varianceExplained: number;
  readonly seconds: number;
}

const COLUMNS = [
  'epoch',
  'update',
  'learningRate',
  'loss',
  'l2',
  'aux',
  'l0',
  'dead',
  'silent',
  'tooActive',
  'varianceExplained',
  'seconds',
] as const satisfies readonly (keyof SaeEpochSummary)[];

function lines(path: string): string[] {
  return existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line.length > 0)
    : [];
}

function append(path: string, text: string): void {
  try {
    appendFileSync(path, text);
  } catch (error) {
    throw writeError(path, error);
  }
}

/** summary.csv and metrics.jsonl of a run. Rows after the resumed update are dropped on opening. */
export class SaeRunLogs {
  private readonly summary: string;
  private readonly metrics: string;

  /** Throws FactError E_WRITE. */
  constructor(folder: string, updates: number) {
    this.summary = join(folder, 'summary.csv');
    this.metrics = join(folder, 'metrics.jsonl');
    const kept = lines(this.summary)
      .slice(1)
      .filter((line) => Number(line.split(',')[1]) <= updates);
    writeFileAtomic(this.summary, `${[COLUMNS.join(','), ...kept].join('\n')}\n`);
    const rows = lines(this.metrics).filter((line) => {
      try {
        return (JSON.parse(line) as SaeStepReport).update <= updates;
      } catch {
        return false; // the last line of a killed run may be cut
      }
    });
    writeFileAtomic(this.metrics, rows.map((line) => `${line}\n`).join(''));
  }

  step(report: SaeStepReport): void {
    append(this.metrics, `${JSON.stringify(report)}\n`);
  }

  epoch(row: SaeEpochSummary): void {
    append(this.summary, `${COLUMNS.map((c) => String(Number(row[c].toPrecision(7)))).join(',')}\n`);
  }
}
