import { join } from 'node:path';
import { writeError } from '../../../core/atomicFile.js';
import { EventWriter } from '../../run/events.js';
import { CsvLog, JsonLinesLog } from '../../run/rowLogs.js';
import type { SaeStepReport } from '../step/trainer.js';

/** A row of summary.csv: one epoch, counted from 1; means over its updates. */
export interface SaeEpochSummary {
  readonly epoch: number;
  readonly update: number;
  readonly learningRate: number;
  readonly loss: number;
  readonly l2: number;
  readonly aux: number;
  readonly l0: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** Concepts that are dead (by their counters) after the epoch's last update. */
  readonly dead: number;
  /** Concepts that fired in no row of the epoch. */
  readonly silent: number;
  /** Concepts that fired in at least 60 % of the epoch's rows. */
  readonly tooActive: number;
  /** Of the last batch; null where it does not vary. */
  readonly varianceExplained: number | null;
  /** Percentage of the images held out that the spliced network gets right; null where not measured. */
  readonly splicedTop1: number | null;
  /** Of the epoch, measuring left aside. */
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** Share of the time spent waiting for features. */
  readonly dataWait: number;
}

const COLUMNS: readonly (keyof SaeEpochSummary)[] = [
  'epoch',
  'update',
  'learningRate',
  'loss',
  'l2',
  'aux',
  'l0',
  'gradientNorm',
  'dead',
  'silent',
  'tooActive',
  'varianceExplained',
  'splicedTop1',
  'seconds',
  'rowsPerSecond',
  'dataWait',
];

/** summary.csv, metrics.jsonl and TensorBoard events of a run. Rows after the resumed update are dropped on opening. */
export class SaeRunLogs {
  private readonly summary: CsvLog<keyof SaeEpochSummary>;
  private readonly metrics: JsonLinesLog<'update'>;
  private readonly events: EventWriter;

  /** Throws FactError E_WRITE. */
  constructor(folder: string, updates: number) {
    this.summary = new CsvLog(join(folder, 'summary.csv'), COLUMNS, 'update', updates);
    this.metrics = new JsonLinesLog(join(folder, 'metrics.jsonl'), 'update', updates);
    try {
      this.events = new EventWriter(join(folder, 'events'));
    } catch (error) {
      throw writeError(join(folder, 'events'), error);
    }
  }

  /** Throws FactError E_WRITE. */
  step(report: SaeStepReport): void {
    this.metrics.append(report);
    this.scalars('update', report, report.update);
  }

  /** Throws FactError E_WRITE. */
  epoch(row: SaeEpochSummary): void {
    this.summary.append(row);
    this.scalars('epoch', row, row.update);
  }

  close(): void {
    this.events.close();
  }

  private scalars(group: string, row: object, update: number): void {
    try {
      for (const [name, value] of Object.entries(row)) {
        if (typeof value === 'number' && name !== 'update')
          this.events.scalar(`${group}/${name}`, value, update);
      }
    } catch (error) {
      throw writeError('TensorBoard events', error);
    }
  }
}
