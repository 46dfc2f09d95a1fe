import { z } from 'zod';

/** Numbers as recipes need them: finite (zod refuses NaN and infinities), with the bounds in the name. */
const positive = z.number().positive();
const notNegative = z.number().nonnegative();
const fraction = z.number().min(0).max(1);
const count = z.int().positive();
const side = z.int().min(1).max(4096);

/** JSON values: architecture options are checked by the architecture itself. */
const json: z.ZodType<unknown> = z.json();

const model = z.strictObject({
  /** Name of the architecture, see `listModels()`. */
  arch: z.string().min(1),
  /** Options of the architecture; `numClasses` is set from the data. */
  options: z.record(z.string(), json).default({}),
});

/** Where the weights start: null = random from the seed. */
const init = z.strictObject({
  /** Model folder, checkpoint of a run, or a PyTorch / safetensors file. */
  from: z.string().min(1).nullable().default(null),
  /** Module path (prefix) of the head, which stays at its random start, e.g. `fc`; null takes every weight. */
  newHead: z.string().min(1).nullable().default(null),
});

const augment = z.strictObject({
  /** `pad`: zero padding, then a random crop of the image size; `resized`: random area and aspect; `none`: the evaluation transform. */
  crop: z.enum(['none', 'pad', 'resized']).default('none'),
  /** Pixels of padding on each side, for `pad`. */
  padding: z.int().min(0).max(256).default(0),
  /** Range of the area, as a share of the image, for `resized`. */
  scale: z.tuple([positive.max(1), positive.max(1)]).default([0.08, 1]),
  /** Range of width / height, for `resized`. */
  ratio: z.tuple([positive, positive]).default([0.75, 4 / 3]),
  /** Whether half of the images are mirrored. */
  flip: z.boolean().default(false),
});

const data = z.strictObject({
  /** Folder of images or shards; the command's --data-dir replaces it. */
  path: z.string().min(1).nullable().default(null),
  trainSplit: z.enum(['train', 'val', 'test']).default('train'),
  /** null: `val` where the data has it, else `test`. */
  valSplit: z.enum(['train', 'val', 'test']).nullable().default(null),
  /** Height and width that the network is trained at. */
  imageSize: z.tuple([side, side]),
  batchSize: z.int().min(1).max(65536),
  evalBatchSize: z.int().min(1).max(65536).nullable().default(null),
  /** Shorter side after resizing for evaluation; null = the image size, no margin cropped. */
  evalResize: side.nullable().default(null),
  /** Threads that decode and augment. */
  workers: z.int().min(1).max(64).default(1),
  augment: augment.prefault({}),
});

const mixing = z.strictObject({
  /** Parameter of the Beta distribution of mixup; 0 = off. */
  mixup: notNegative.default(0),
  /** Parameter of the Beta distribution of cutmix; 0 = off. */
  cutmix: notNegative.default(0),
});

const loss = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('bce'),
    /** Targets become t (1 - s) + s / classes. */
    smoothing: fraction.default(0),
    /** Targets above it become 1, others 0; null = off. */
    targetThreshold: z.number().min(0).max(1).nullable().default(null),
  }),
  z.strictObject({
    name: z.literal('uniformOffBce'),
    /** Smallest target; null (or 0, as in the reference) = 1 / classes. */
    offLabel: fraction.nullable().default(null),
  }),
  z.strictObject({ name: z.literal('crossEntropy'), smoothing: fraction.default(0) }),
]);

const betas = z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.999]);

const optimizer = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('adam'),
    rate: positive,
    betas,
    epsilon: positive.default(1e-8),
    weightDecay: notNegative.default(0),
  }),
  z.strictObject({
    name: z.literal('adamw'),
    rate: positive,
    betas,
    epsilon: positive.default(1e-8),
    weightDecay: notNegative.default(1e-2),
  }),
  z.strictObject({
    name: z.literal('sgd'),
    rate: positive,
    momentum: fraction.default(0),
    nesterov: z.boolean().default(false),
    weightDecay: notNegative.default(0),
  }),
  z.strictObject({
    name: z.literal('rmsprop'),
    rate: positive,
    alpha: fraction.default(0.9),
    epsilon: positive.default(0.0316),
    momentum: fraction.default(0),
    weightDecay: notNegative.default(0),
  }),
]);

const warmup = z.strictObject({
  /** Length, in epochs (may be a fraction where the schedule steps per update). */
  epochs: notNegative.default(0),
  /** Length in updates; replaces `epochs`. Only where the schedule steps per update. */
  steps: z.int().nonnegative().nullable().default(null),
  /** `linear`: from `start` x rate up to the rate; `constant`: `start` x rate throughout. */
  method: z.enum(['linear', 'constant']).default('linear'),
  start: z.number().min(0).max(1).default(0.01),
});

const schedule = z.strictObject({
  name: z.enum(['cosine', 'step', 'exponential', 'constant']),
  /** Whether the rate changes once an epoch or once an update. */
  interval: z.enum(['epoch', 'step']).default('epoch'),
  warmup: warmup.prefault({}),
  /** Rate at the end of the cosine. */
  minimum: notNegative.default(0),
  /** Epochs between two falls of `step`. */
  stepSize: count.default(30),
  /** Factor of each fall of `step` and `exponential`. */
  gamma: positive.max(1).default(0.1),
});

const clip = z.strictObject({
  /** Factor of adaptive gradient clipping; null = off. */
  adaptive: positive.nullable().default(null),
  /** Largest norm of all gradients together; null = off. */
  norm: positive.nullable().default(null),
});

const ema = z.strictObject({
  /** Decay before the correction for batch size and epochs (`effectiveDecay`). */
  decay: z.number().min(0).lt(1),
  /** Batches between two updates of the average. */
  steps: count.default(32),
  /** Epochs during which the average is a plain copy. */
  warmupEpochs: z.int().nonnegative().default(0),
});

const group = z.strictObject({
  /** Module paths (prefixes) whose weights form the group. */
  match: z.array(z.string().min(1)).min(1),
  /** Multiplies the learning rate. */
  rateFactor: notNegative,
});

/** What changes while a B-cosified network trains (docs/bcosification.md). */
const bcos = z.strictObject({
  /** B of every layer that keeps it as a buffer: from `from` to `to`, linearly over `epochs`; null = as it is. */
  b: z
    .strictObject({
      from: z.number().min(1).default(1),
      to: z.number().min(1).default(2),
      epochs: notNegative,
    })
    .nullable()
    .default(null),
  /** Every bias shrinks to 0, linearly over `epochs`, and stays there; null = biases are trained. */
  biasDecay: z.strictObject({ epochs: notNegative }).nullable().default(null),
});

const checkpoint = z.strictObject({
  /** Minutes between two checkpoints within an epoch; null = only at its end. */
  everyMinutes: positive.nullable().default(5),
  /** Batches between two checkpoints within an epoch; null = off. */
  everySteps: count.nullable().default(null),
});

const log = z.strictObject({
  /** Batches between two rows of metrics.jsonl. */
  everySteps: count.default(20),
  tensorboard: z.boolean().default(true),
});

/** A training recipe. Every key has its meaning beside it; unknown keys are errors. */
export const trainConfigSchema = z.strictObject({
  name: z.string().min(1).default('run'),
  seed: z.int().min(0).max(4294967295).default(42),
  epochs: count,
  model,
  init: init.prefault({}),
  data,
  mixing: mixing.prefault({}),
  loss,
  /** Loss on the validation split; null = plain BCE for the BCE losses, cross entropy for cross entropy. */
  testLoss: loss.nullable().default(null),
  optimizer,
  schedule,
  clip: clip.prefault({}),
  /** Batches whose gradients are averaged before an update. */
  accumulate: count.default(1),
  ema: ema.nullable().default(null),
  /** Module paths (prefixes) that stay as they are, norms in evaluation mode. */
  frozen: z.array(z.string().min(1)).default([]),
  groups: z.array(group).default([]),
  bcos: bcos.prefault({}),
  checkpoint: checkpoint.prefault({}),
  log: log.prefault({}),
});

/** A recipe with every default filled in. */
export type TrainConfig = z.output<typeof trainConfigSchema>;
/** A recipe as a person writes it: keys with defaults may be left out. */
export type TrainConfigInput = z.input<typeof trainConfigSchema>;
export type LossConfig = TrainConfig['loss'];
export type OptimizerConfig = TrainConfig['optimizer'];
export type ScheduleConfig = TrainConfig['schedule'];
