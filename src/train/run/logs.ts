import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeError, writeFileAtomic } from '../../core/atomicFile.js';
import { EventWriter } from './events.js';

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

function significant(value: number | null): string {
  return value === null ? '' : String(Number(value.toPrecision(7)));
}

/** The run's logs: summary.csv, metrics.jsonl, TensorBoard events. Rows after the resumed step are dropped on opening. */
export class RunLogs {
  private readonly summaryPath: string;
  private readonly metricsPath: string;
  private readonly events: EventWriter | null;

  /** @param step batches done so far; rows beyond it, of an interrupted run, are removed. Throws FactError E_WRITE. */
  constructor(folder: string, step: number, tensorboard: boolean) {
    this.summaryPath = join(folder, 'summary.csv');
    this.metricsPath = join(folder, 'metrics.jsonl');
    const stepColumn = COLUMNS.indexOf('step');
    const summary = this.lines(this.summaryPath).slice(1);
    const kept = summary.filter((line) => Number(line.split(',')[stepColumn]) <= step);
    writeFileAtomic(this.summaryPath, `${[COLUMNS.join(','), ...kept].join('\n')}\n`);
    const metrics = this.lines(this.metricsPath).filter((line) => {
      try {
        return (JSON.parse(line) as StepMetrics).step <= step;
      } catch {
        return false; // the last line of a killed run may be cut
      }
    });
    writeFileAtomic(this.metricsPath, metrics.map((line) => `${line}\n`).join(''));
    try {
      this.events = tensorboard ? new EventWriter(join(folder, 'events')) : null;
    } catch (error) {
      throw writeError(join(folder, 'events'), error);
    }
  }

  step(row: StepMetrics): void {
    this.append(this.metricsPath, `${JSON.stringify(row)}\n`);
    this.scalars('train', row, row.step);
  }

  epoch(row: EpochSummary): void {
    this.append(this.summaryPath, `${COLUMNS.map((column) => significant(row[column])).join(',')}\n`);
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

  private append(path: string, text: string): void {
    try {
      appendFileSync(path, text);
    } catch (error) {
      throw writeError(path, error);
    }
  }

  private lines(path: string): string[] {
    return existsSync(path)
      ? readFileSync(path, 'utf8')
          .split('\n')
          .filter((line) => line.length > 0)
      : [];
  }
}
