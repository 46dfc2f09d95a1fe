/** Schema of graph.json, version 1; docs/concept-graphs.md explains each field. */
import { z } from 'zod';
import { count, modelSchema, scoredClassSchema } from '../../report/sharedSchema.js';

const number = z.number();

const nodeSchema = z.strictObject({
  id: z.string(),
  kind: z.enum(['class', 'concept', 'others', 'constant', 'region']),
  column: count,
  tap: z.string().nullable(),
  number: count.nullable(),
  name: z.string(),
  contribution: number,
  share: number.min(0),
  presence: number.nullable(),
});

const edgeSchema = z.strictObject({
  from: z.string(),
  to: z.string(),
  contribution: number,
  positive: number.min(0),
  negative: number.max(0),
  share: number.min(0).max(1),
  presence: number.nullable(),
});

const hopSchema = z.strictObject({
  to: z.string(),
  from: z.string(),
  unit: z.enum(['logits', 'presence']),
  sums: count,
  /** Null where a number was not finite. */
  worst: number.nullable(),
  worstImage: z.string().nullable(),
  ofMeans: number.nullable(),
  tolerance: number,
  holds: z.boolean(),
});

export const graphSchema = z.strictObject({
  target: z.strictObject({ index: count, name: z.string() }),
  images: count,
  score: number,
  bias: number,
  taps: z.array(z.string()),
  nodes: z.array(nodeSchema),
  edges: z.array(edgeSchema),
  hops: z.array(hopSchema),
});

/** What a graph is of: one image, or the images of a class. */
const subjectSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('image'),
    name: z.string(),
    predicted: scoredClassSchema,
    predictedAlone: scoredClassSchema,
    trueClass: scoredClassSchema.nullable(),
  }),
  z.strictObject({
    kind: z.literal('class'),
    name: z.string(),
    /** The image in which each concept is shown, by node. */
    examples: z.record(z.string(), z.string()),
  }),
]);

export const graphFileSchema = z.strictObject({
  format: z.literal('fact-concept-graph'),
  version: z.literal(1),
  packageVersion: z.string(),
  engine: z.string(),
  model: modelSchema,
  /** Earliest tap first. */
  autoencoders: z.array(z.strictObject({ path: z.string(), tap: z.string(), latents: count, k: count })),
  top: count,
  tolerance: number,
  data: z.strictObject({ path: z.string(), split: z.string().nullable() }).nullable(),
  summary: z.strictObject({
    graphs: count,
    images: count,
    skipped: count,
    sums: count,
    worst: number.nullable(),
    holds: z.boolean(),
  }),
  graphs: z.array(z.strictObject({ subject: subjectSchema, picture: z.string(), graph: graphSchema })),
  skipped: z.array(z.string()),
});

export type GraphFile = z.infer<typeof graphFileSchema>;
export type GraphSubject = z.infer<typeof subjectSchema>;
export type GraphEntry = GraphFile['graphs'][number];
