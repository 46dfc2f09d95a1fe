import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { FactError } from '../../core/errors.js';
import { showProgress } from '../../core/progress.js';
import { refuseTooManyBroken } from '../../data/brokenLimit.js';
import { listImages } from '../../data/listImages.js';
import { currentEngine } from '../../engine/current.js';
import { type ConceptData, openConceptData } from '../../explain/concepts/conceptData.js';
import type { ConceptGraph } from '../../explain/concepts/graph/graph.js';
import { graphOfClass, samplesByClass } from '../../explain/concepts/graph/graphDataset.js';
import { hopSize } from '../../explain/concepts/graph/graphHops.js';
import { graphOfImage } from '../../explain/concepts/graph/graphImage.js';
import { GraphPass } from '../../explain/concepts/graph/graphPass.js';
import {
  addClassGraph,
  addImageGraph,
  GRAPH_FILE,
  GRAPH_FORMAT,
  type GraphContext,
  writeGraphs,
} from '../../explain/concepts/graph/graphReport.js';
import type { GraphEntry, GraphFile } from '../../explain/concepts/graph/graphSchema.js';
import { ResultFolder } from '../../explain/concepts/resultFolder.js';
import { saeHash } from '../../explain/sae.js';
import { type FileRecord, runFiles } from '../../explain/session/explainFiles.js';
import { resolveClass } from '../../models/classes.js';
import { type CliContext, runVerb, usageError, verb } from '../context.js';
import { countOf, toleranceOf, warnSkipped } from '../explainOptions.js';
import { withSignals } from '../signals.js';
import { packageVersion } from '../version.js';
import { type ConceptsFlags, type OpenedConcepts, openConcepts, withData, withNetwork } from './options.js';

const DEFAULT_OUT = 'concept-graph';
const DEFAULT_TOP = 8;

interface GraphFlags extends ConceptsFlags {
  readonly class?: string;
  readonly top?: string;
  readonly tolerance?: string;
  readonly out?: string;
}

/** The two autoencoders of a graph, earliest first. Throws FactError E_GRAPH_LEVELS. */
function levelsOf({ concepts, early }: OpenedConcepts) {
  if (early !== null) return [early, concepts];
  throw new FactError({
    code: 'E_GRAPH_LEVELS',
    message: `there are concepts at ${concepts.sae.tap} only: a graph across layers needs an autoencoder at an earlier tap too`,
    remedy:
      'Name both with --sae LATE --sae EARLY; train one with `fact sae train MODEL --tap EARLIER`. `fact explain` shows one level.',
    exitCode: 2,
  });
}

/** What both forms of the verb share. */
interface Work {
  readonly context: CliContext;
  readonly opened: OpenedConcepts;
  readonly target: number | null;
  readonly top: number;
  readonly tolerance: number;
  readonly out: string;
  readonly about: (data: GraphContext['data']) => GraphContext;
  /** `saeHash` of each autoencoder: results of an earlier run are gone on with only where they are the same. */
  readonly weights: readonly string[];
}

function sumLines(hops: ConceptGraph['hops']): string[] {
  return hops.map(
    ({ to, from, unit, sums, worst, worstImage, ofMeans, tolerance, holds }) =>
      `  ${`${to} <- ${from}`.padEnd(20)} ${unit.padEnd(8)} ${String(sums).padStart(7)} sums, largest residual ${hopSize(worst).toExponential(1)} of the terms${sums > 10 && worstImage !== null ? ` (${worstImage})` : ''}, of the means ${hopSize(ofMeans).toExponential(1)}, allowed ${tolerance.toExponential(0)}: ${holds ? 'holds' : 'DOES NOT HOLD'}`,
  );
}

/** Hops of several graphs as one table: the worst of each. */
function merged(graphs: readonly GraphEntry[]): ConceptGraph['hops'] {
  const all = graphs.map(({ graph }) => graph.hops as ConceptGraph['hops']);
  return (all[0] ?? []).map((first, h) =>
    all.slice(1).reduce((sum, hops) => {
      const hop = hops[h];
      const worse = hopSize(hop.worst) > hopSize(sum.worst) ? hop : sum;
      return {
        ...worse,
        sums: sum.sums + hop.sums,
        ofMeans: hopSize(hop.ofMeans) > hopSize(sum.ofMeans) ? hop.ofMeans : sum.ofMeans,
        holds: sum.holds && hop.holds,
      };
    }, first),
  );
}

function lineOf({ subject, graph }: GraphEntry): string {
  const edges = graph.edges.filter(({ to, from }) => to === 'class' && !from.endsWith('others'));
  const concepts = edges
    .sort((a, b) => b.share - a.share)
    .slice(0, 3)
    .map(({ from, share }) => `${from} ${(100 * share).toFixed(1)} %`)
    .join(', ');
  return `${subject.name}: ${graph.target.name}, score ${graph.score.toFixed(4)} over ${graph.images} ${graph.images === 1 ? 'image' : 'images'}; ${concepts}`;
}

function report(work: Work, file: GraphFile): number {
  const { context, out } = work;
  const { graphs, images, skipped, holds } = file.summary;
  const counted = `${graphs} ${graphs === 1 ? 'graph' : 'graphs'} of ${images} ${images === 1 ? 'image' : 'images'}${skipped > 0 ? `, ${skipped} skipped` : ''}${holds ? '' : '; sums DO NOT HOLD'}`;
  const lines = [
    ...file.graphs.map(lineOf),
    ...sumLines(merged(file.graphs)),
    `${counted}: ${join(out, 'index.html')}`,
  ];
  context.print(lines.join('\n'), file);
  return holds && skipped === 0 ? 0 : 1;
}

async function runImages(work: Work, paths: readonly string[]): Promise<number> {
  const { context, opened, target, top, tolerance, out } = work;
  const { spec } = opened.model;
  const listed = listImages(paths);
  const about = work.about(null);
  return withSignals(async (signal, exitStatus) => {
    const pass = new GraphPass(
      opened.model,
      levelsOf(opened).map(({ sae }) => sae),
      { imageSize: spec.preprocessing.crop, batchSize: 1 },
    );
    const folder = new ResultFolder<FileRecord<GraphEntry>>(out, GRAPH_FILE, GRAPH_FORMAT, {
      about,
      weights: work.weights,
      target,
    });
    const progress = showProgress('graphs', listed.length, 'images', context.quiet);
    try {
      const run = await runFiles<GraphEntry>({
        paths: listed,
        spec,
        size: 1,
        journal: folder.journal,
        done: folder.done,
        compute: async ([image], [place]) => {
          const made = await graphOfImage(pass, image, target, { spec, top, tolerance });
          return [await addImageGraph(folder, image, made, place, spec)];
        },
        onResult: (_, done) => progress.update(done),
        signal,
      });
      progress.stop();
      warnSkipped(context, run.skipped);
      const file = writeGraphs(
        folder,
        about,
        run.results,
        run.skipped.map(({ message }) => message),
      );
      if (run.isStopped) {
        context.log.warn(
          `stopped: ${run.results.length} of ${listed.length} graphs so far, in ${folder.partial}; the same command goes on from there`,
        );
        return exitStatus();
      }
      folder.finish();
      return report(work, file);
    } finally {
      progress.stop();
      folder.close();
      pass.dispose();
    }
  });
}

/** A finished class in the journal. */
interface ClassRecord {
  readonly label: number;
  /** Null where none of its pictures can be read. */
  readonly entry: GraphEntry | null;
  readonly broken: readonly string[];
}

async function runData(work: Work, data: ConceptData, flags: GraphFlags): Promise<number> {
  const { context, opened, target, top, tolerance, out } = work;
  const { spec } = opened.model;
  const about = work.about({ path: flags.dataDir ?? '', split: data.split });
  const all = samplesByClass(data);
  const classes = [...all].filter(([label]) => target === null || label === target);
  if (classes.length === 0)
    throw usageError(
      target === null
        ? `${flags.dataDir} has no image of a class that the network knows`
        : `${flags.dataDir} has no image of ${spec.classNames?.[target] ?? `class ${target}`}`,
      'A graph of a data set is made class by class: use class folders or labelled shards, or name pictures instead of --data-dir.',
    );
  return withSignals(async (signal, exitStatus) => {
    const pass = new GraphPass(
      opened.model,
      levelsOf(opened).map(({ sae }) => sae),
      { imageSize: data.imageSize, batchSize: data.batchSize },
    );
    const folder = new ResultFolder<ClassRecord>(out, GRAPH_FILE, GRAPH_FORMAT, {
      about,
      weights: work.weights,
      target,
      images: data.fingerprint,
      batchSize: data.batchSize,
    });
    const records = [...folder.done];
    const total = 2 * classes.reduce((sum, [, samples]) => sum + samples.length, 0);
    const progress = showProgress('graphs', total, 'images', context.quiet);
    let seen = 0;
    const brokenOf = (): string[] => records.flatMap(({ broken }) => broken);
    const write = () =>
      writeGraphs(
        folder,
        about,
        records.flatMap(({ entry }) => (entry === null ? [] : [entry])),
        brokenOf(),
      );
    try {
      if (records.length > 0)
        context.log.info(`${records.length} of ${classes.length} classes were done by an earlier run`);
      for (const [place, [label, samples]] of classes.entries()) {
        if (place < records.length) {
          seen += 2 * samples.length;
          continue;
        }
        const made = await graphOfClass(pass, data, label, samples, {
          spec,
          top,
          tolerance,
          workers: flags.workers,
          signal,
          onImages: (count) => {
            seen += count;
            progress.update(seen, spec.classNames?.[label]);
          },
        });
        const broken =
          made?.broken ?? [...samples].map((sample) => `${data.source.key(sample)} cannot be read`);
        refuseTooManyBroken([...brokenOf(), ...broken], data.brokenLimit);
        const entry = made === null ? null : addClassGraph(folder, made, place);
        const record = { label, entry, broken };
        folder.journal.add(record);
        records.push(record);
      }
      progress.stop();
      for (const message of brokenOf()) context.log.warn(`skipped: ${message}`);
      const file = write();
      folder.finish();
      return report(work, file);
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      progress.stop();
      write();
      context.log.warn(
        `stopped: ${records.length} of ${classes.length} classes so far, in ${folder.partial}; the same command goes on from there`,
      );
      return exitStatus();
    } finally {
      progress.stop();
      folder.close();
      pass.dispose();
    }
  });
}

async function run(context: CliContext, paths: readonly string[], flags: GraphFlags): Promise<number> {
  const isData = flags.dataDir !== undefined;
  if (isData === paths.length > 0)
    throw usageError(
      isData ? 'both pictures and --data-dir are given' : 'no picture is given',
      'Name pictures (fact concepts graph photo.jpg), or a data set with --data-dir FOLDER.',
    );
  const top = countOf('top', flags.top, DEFAULT_TOP);
  const tolerance = toleranceOf(flags.tolerance);
  const opened = await openConcepts(context, flags);
  let data: ConceptData | null = null;
  try {
    const { model, modelFolder } = opened;
    const levels = levelsOf(opened);
    const target = flags.class === undefined ? null : resolveClass(model.spec, flags.class);
    const work: Work = {
      context,
      opened,
      target,
      top,
      tolerance,
      out: resolve(flags.out ?? DEFAULT_OUT),
      weights: await Promise.all(levels.map(({ sae }) => saeHash(sae))),
      about: (source) => ({
        packageVersion: packageVersion(),
        engine: currentEngine()?.name ?? 'none',
        model: {
          path: modelFolder,
          arch: model.spec.arch,
          weightsHash: model.spec.weightsHash,
          classes: model.spec.options.numClasses,
        },
        autoencoders: levels.map(({ path, sae }) => ({ path, tap: sae.tap, latents: sae.latents, k: sae.k })),
        top,
        tolerance,
        data: source,
      }),
    };
    if (flags.dataDir === undefined) return await runImages(work, paths);
    data = await openConceptData(flags.dataDir, model.spec, flags);
    return await runData(work, data, flags);
  } finally {
    await data?.close();
    opened.dispose();
  }
}

/** `fact concepts graph IMAGE... | --data-dir DIR` */
export function registerGraph(concepts: Command): void {
  const command = verb(
    concepts,
    'graph',
    'what a class is made of across layers: late concepts, the early ones in them, where those lie; every sum checked',
  ).argument('[images...]', 'picture files, or folders of pictures');
  withData(withNetwork(command, 'autoencoder; twice, at two taps (default: those that lie with the network)'))
    .option(
      '--class <name>',
      "class, by name or number (default: each picture's answer; each class of the data set)",
    )
    .option('--top <n>', `concepts shown one by one at each level (default: ${DEFAULT_TOP})`)
    .option('--tolerance <number>', 'largest relative error of a sum (default: 0.00001)')
    .option(
      '--out <folder>',
      `folder of the results (default: ${DEFAULT_OUT}); an unfinished one is gone on with`,
    )
    .action((images: string[], _flags, self: Command) =>
      runVerb(self, (context) => run(context, images, self.optsWithGlobals<GraphFlags>())),
    );
}
