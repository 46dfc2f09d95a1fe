import { join } from 'node:path';
import { CsvLog, JsonLinesLog } from '../run/rowLogs.js';
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
  /** Of the last batch; null where it does not vary. */
  readonly varianceExplained: number | null;
  readonly seconds: number;
}

const COLUMNS: readonly (keyof SaeEpochSummary)[] = [
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
];

/** summary.csv and metrics.jsonl of a run. Rows after the resumed update are dropped on opening. */
export class SaeRunLogs {
  private readonly summary: CsvLog<keyof SaeEpochSummary>;
  private readonly metrics: JsonLinesLog<'update'>;

  /** Throws FactError E_WRITE. */
  constructor(folder: string, updates: number) {
    this.summary = new CsvLog(join(folder, 'summary.csv'), COLUMNS, 'update', updates);
    this.metrics = new JsonLinesLog(join(folder, 'metrics.jsonl'), 'update', updates);
  }

  /** Throws FactError E_WRITE. */
  step(report: SaeStepReport): void {
    this.metrics.append(report);
  }

  /** Throws FactError E_WRITE. */
  epoch(row: SaeEpochSummary): void {
    this.summary.append(row);
  }
}
