import { join } from 'node:path';
import { writeError } from '../../core/atomicFile.js';
import { EventWriter } from './events.js';
import { CsvLog, JsonLinesLog } from './rowLogs.js';

/** A row of metrics.jsonl: one batch in `log.everySteps`. */
export interface StepMetrics {
  /** Batches done, this one included. */
  readonly step: number;
  readonly epoch: number;
  readonly rate: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly imagesPerSecond: number;
  /** Share of the time spent waiting for data. */
  readonly dataWait: number;
}

/** A row of summary.csv: one epoch, counted from 1. Accuracies in percent. */
export interface EpochSummary {
  readonly epoch: number;
  readonly step: number;
  readonly rate: number;
  readonly trainLoss: number;
  readonly trainTop1: number;
  readonly valLoss: number;
  readonly valTop1: number;
  readonly valTop5: number;
  readonly emaTop1: number | null;
  readonly imagesPerSecond: number;
  readonly seconds: number;
}

const COLUMNS: readonly (keyof EpochSummary)[] = [
  'epoch',
  'step',
  'rate',
  'trainLoss',
  'trainTop1',
  'valLoss',
  'valTop1',
  'valTop5',
  'emaTop1',
  'imagesPerSecond',
  'seconds',
];

/** The run's logs: summary.csv, metrics.jsonl, TensorBoard events. Rows after the resumed step are dropped on opening. */
export class RunLogs {
  private readonly summary: CsvLog<keyof EpochSummary>;
  private readonly metrics: JsonLinesLog<'step'>;
  private readonly events: EventWriter | null;

  /** @param step batches done so far; rows beyond it, of an interrupted run, are removed. Throws FactError E_WRITE. */
  constructor(folder: string, step: number, tensorboard: boolean) {
    this.summary = new CsvLog(join(folder, 'summary.csv'), COLUMNS, 'step', step);
    this.metrics = new JsonLinesLog(join(folder, 'metrics.jsonl'), 'step', step);
    try {
      this.events = tensorboard ? new EventWriter(join(folder, 'events')) : null;
    } catch (error) {
      throw writeError(join(folder, 'events'), error);
    }
  }

  step(row: StepMetrics): void {
    this.metrics.append(row);
    this.scalars('train', row, row.step);
  }

  epoch(row: EpochSummary): void {
    this.summary.append(row);
    this.scalars('epoch', row, row.step);
  }

  close(): void {
    this.events?.close();
  }

  private scalars(group: string, row: object, step: number): void {
    try {
      for (const [name, value] of Object.entries(row)) {
        if (typeof value === 'number' && name !== 'step')
          this.events?.scalar(`${group}/${name}`, value, step);
      }
    } catch (error) {
      throw writeError('TensorBoard events', error);
    }
  }
}
