/** An edit over a data set: accuracy before and after, class by class. Memory does not grow with the number of images. */
import { argMax } from '../../../core/argMax.js';
import type { Batch } from '../../../data/batchLoader.js';
import { refuseTooManyBroken } from '../../../data/brokenLimit.js';
import { NO_LABEL } from '../../../data/classLabels.js';
import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { ConceptData } from '../conceptData.js';
import { checkScores } from '../graph/graphImage.js';
import type { ResultFolder } from '../resultFolder.js';
import { heldErrorOf, predictEdit } from './edit.js';
import type { EditPass } from './editPass.js';
import type { EditDataFile } from './editSchema.js';

/** What a journal keeps of a batch. */
export interface BatchRecord<R> {
  /** Number of the batch in the data set's order. */
  readonly index: number;
  readonly images: number;
  readonly rows: readonly R[];
  /** Pictures that could not be read in it or between it and the one before. */
  readonly broken: readonly string[];
}

/**
 * Computes something for each batch of a data set in its order; each is in the folder's journal before the next one starts,
 * and what an earlier run left there is handed on, not computed again. @returns whether it was stopped before its end.
 * Throws FactError E_DATA_TOO_MANY_BROKEN, and what `compute` throws.
 */
export async function overBatches<R>(
  data: Pick<ConceptData, 'loader' | 'brokenLimit'>,
  folder: Pick<ResultFolder<BatchRecord<R>>, 'journal' | 'done'>,
  compute: (batch: Batch) => Promise<readonly R[]>,
  onRecord: (record: BatchRecord<R>) => void,
  signal: AbortSignal,
): Promise<{ readonly isStopped: boolean; readonly broken: readonly string[] }> {
  const broken: string[] = [];
  const tell = (record: BatchRecord<R>): void => {
    broken.push(...record.broken);
    onRecord(record);
  };
  for (const record of folder.done) tell(record);
  const start = (folder.done[folder.done.length - 1]?.index ?? -1) + 1;
  let counted = 0;
  let isStopped = signal.aborted;
  const fresh = (): string[] => {
    const found = data.loader.broken.slice(counted).map(({ message }) => message);
    counted = data.loader.broken.length;
    return found;
  };
  if (!isStopped && start < data.loader.batchesPerEpoch) {
    for await (const batch of data.loader.epoch(0, start)) {
      isStopped = signal.aborted;
      if (isStopped) break;
      const rows = await compute(batch);
      const record = { index: batch.index, images: batch.size, rows, broken: fresh() };
      refuseTooManyBroken([...broken, ...record.broken], data.brokenLimit);
      folder.journal.add(record);
      tell(record);
    }
  }
  broken.push(...fresh());
  refuseTooManyBroken(broken, data.brokenLimit);
  return { isStopped, broken };
}

/** One image of an edited data set. */
export interface EditRow {
  readonly key: string;
  readonly label: number;
  readonly before: number;
  readonly after: number;
  /** Change of the score of the class answered before: by the sum, and by a true forward pass. */
  readonly bySum: number;
  readonly byForward: number;
  /** The check; null: not finite. */
  readonly heldError: number | null;
}

/** Applies an edit to a batch. Throws FactError E_NOT_FINITE. */
export async function editBatch(
  pass: EditPass,
  batch: Pick<Batch, 'images' | 'size' | 'keys' | 'samples'>,
  factors: Float32Array,
  spec: ModelSpec,
  labelOf: (sample: number) => number,
): Promise<EditRow[]> {
  const images = { values: batch.images, count: batch.size };
  const scores = await pass.scores(images, factors);
  scores.forEach(({ before, after }, i) => {
    checkScores(spec, batch.keys[i], before);
    checkScores(spec, batch.keys[i], after);
  });
  const answers = scores.map(({ before }) => argMax(before));
  const found = await pass.attribute(
    images,
    factors,
    answers.map((answer) => ({ for: answer, versus: null })),
  );
  return scores.map(({ before, after }, i) => {
    const error = heldErrorOf(found[i], factors);
    return {
      key: batch.keys[i],
      label: labelOf(batch.samples[i]),
      before: answers[i],
      after: argMax(after),
      bySum: predictEdit(found[i], factors).score - found[i].before,
      byForward: after[answers[i]] - before[answers[i]],
      heldError: Number.isFinite(error) ? error : null,
    };
  });
}

/** Counts over the rows of a data set. */
export class EditTotals {
  images = 0;
  private changed = 0;
  private bySum = 0;
  private byForward = 0;
  private heldError: number | null = 0;
  private heldErrorImage: string | null = null;
  private readonly classes: { images: number; right: [number, number]; answers: [number, number] }[];

  constructor(
    private readonly spec: ModelSpec,
    private readonly tolerance: number,
  ) {
    this.classes = Array.from({ length: spec.options.numClasses }, () => ({
      images: 0,
      right: [0, 0],
      answers: [0, 0],
    }));
  }

  add(row: EditRow): void {
    this.images++;
    if (row.before !== row.after) this.changed++;
    this.bySum += row.bySum;
    this.byForward += row.byForward;
    this.classes[row.before].answers[0]++;
    this.classes[row.after].answers[1]++;
    if (row.label !== NO_LABEL) {
      const own = this.classes[row.label];
      own.images++;
      if (row.before === row.label) own.right[0]++;
      if (row.after === row.label) own.right[1]++;
    }
    const isWorse =
      this.heldErrorImage === null ||
      row.heldError === null ||
      (this.heldError !== null && row.heldError > this.heldError);
    if (!isWorse || (this.heldError === null && this.heldErrorImage !== null)) return;
    this.heldError = row.heldError;
    this.heldErrorImage = row.key;
  }

  result(): Omit<EditDataFile, keyof typeof NOT_COUNTED> {
    const sum = (of: (c: (typeof this.classes)[number]) => number): number =>
      this.classes.reduce((total, one) => total + of(one), 0);
    const { images, heldError } = this;
    return {
      images,
      labelled: sum((c) => c.images),
      correctBefore: sum((c) => c.right[0]),
      correctAfter: sum((c) => c.right[1]),
      changed: this.changed,
      meanChangeBySum: images === 0 ? 0 : this.bySum / images,
      meanChange: images === 0 ? 0 : this.byForward / images,
      heldError,
      heldErrorImage: this.heldErrorImage,
      holds: heldError !== null && heldError <= this.tolerance,
      classes: this.classes.map((c, index) => ({
        index,
        name: className(this.spec, index),
        images: c.images,
        correctBefore: c.right[0],
        correctAfter: c.right[1],
        answersBefore: c.answers[0],
        answersAfter: c.answers[1],
      })),
    };
  }
}

/** Fields of edit.json that are known without any image. */
const NOT_COUNTED = {
  format: true,
  version: true,
  packageVersion: true,
  engine: true,
  model: true,
  autoencoder: true,
  tolerance: true,
  data: true,
  edit: true,
  skipped: true,
} as const;
