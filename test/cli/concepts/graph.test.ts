import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registerEdit } from '../../../src/cli/concepts/edit.js';
import { registerGraph } from '../../../src/cli/concepts/graph.js';
import { registerVersus } from '../../../src/cli/concepts/versus.js';
import { EditPass } from '../../../src/explain/concepts/edit/editPass.js';
import { editDataSchema, editFileSchema } from '../../../src/explain/concepts/edit/editSchema.js';
import { GraphPass } from '../../../src/explain/concepts/graph/graphPass.js';
import { graphFileSchema } from '../../../src/explain/concepts/graph/graphSchema.js';
import { confusionFileSchema } from '../../../src/explain/concepts/versus/versusDataReport.js';
import { versusFileSchema } from '../../../src/explain/concepts/versus/versusSchema.js';
import { saveSae } from '../../../src/explain/sae.js';
import { loadModel } from '../../../src/models/loadModel.js';
import { randomSae } from '../../explain/fixtures.js';
import { runVerbOf, useExplainCase, writeBroken } from '../explainCase.js';

const made = useExplainCase();

/** `fact concepts` with its three verbs of this file. */
function register(program: Command): void {
  const concepts = program.command('concepts');
  registerGraph(concepts);
  registerVersus(concepts);
  registerEdit(concepts);
}

// Small as the network is, compiling its programs would take longer than running them as they are.
const concepts = (...argv: string[]) =>
  runVerbOf(register, 'concepts', ...argv, '--model', made.model, '--no-compile');
const out = () => join(made.root, 'out');
const json = (name: string) => JSON.parse(readFileSync(join(out(), name), 'utf8'));
const photo = () => join(made.photos, 'tabby', 'photo 0.png');

afterEach(() => {
  for (const folder of [out(), `${out()}.partial`]) rmSync(folder, { recursive: true, force: true });
});

describe('fact concepts graph', () => {
  it('makes graphs of pictures: JSON of the schema, a page, pictures, texts; the same bytes again', async () => {
    const { status, stdout } = await concepts('graph', made.photos, '--top', '2', '--out', out());
    expect(status).toBe(0);
    expect(stdout).toContain('class <- layer2');
    expect(stdout).toContain('layer2 <- layer1');
    expect(stdout).toContain('layer1 <- pixels');
    expect(stdout).toMatch(/3 graphs of 3 images/);
    const file = graphFileSchema.parse(json('graph.json'));
    expect(file.summary.holds).toBe(true);
    expect(file.autoencoders.map(({ tap }) => tap)).toEqual(['layer1', 'layer2']);
    for (const { picture } of file.graphs) expect(existsSync(join(out(), picture))).toBe(true);
    for (const name of ['index.html', 'graph.dot', 'graph.graphml'])
      expect(existsSync(join(out(), name))).toBe(true);
    const before = readFileSync(join(out(), 'graph.json'), 'utf8');
    const page = readFileSync(join(out(), 'index.html'), 'utf8');
    await concepts('graph', made.photos, '--top', '2', '--out', out());
    expect(readFileSync(join(out(), 'graph.json'), 'utf8')).toBe(before);
    expect(readFileSync(join(out(), 'index.html'), 'utf8')).toBe(page);
    expect(existsSync(`${out()}.partial`)).toBe(false);
  });

  it('makes one graph a class of a data set, and leaves out and counts what is broken', async () => {
    const data = join(made.root, 'data');
    cpSync(made.photos, data, { recursive: true });
    writeBroken(join(data, 'tabby', 'broken.jpg'));
    const argv = [
      'graph',
      '--data-dir',
      data,
      '--top',
      '2',
      '--image-batch',
      '2',
      '--workers',
      '0',
      '--out',
      out(),
    ];
    const { status, stderr } = await concepts(...argv);
    expect(status).toBe(1);
    expect(stderr).toContain('broken.jpg');
    const file = graphFileSchema.parse(json('graph.json'));
    // The third folder is no class of the network.
    expect(file.graphs.map(({ subject }) => subject.name)).toEqual(['tabby', 'school bus']);
    expect(file.summary).toMatchObject({ graphs: 2, images: 2, skipped: 1, holds: true });
    const one = await concepts(...argv, '--class', 'school-bus');
    expect(one.status).toBe(0);
    expect(json('graph.json').graphs).toHaveLength(1);
    rmSync(data, { recursive: true });
  });

  it('exits 1 where a sum is above the tolerance', async () => {
    const { status, stdout } = await concepts(
      'graph',
      photo(),
      '--top',
      '2',
      '--tolerance',
      '1e-30',
      '--out',
      out(),
    );
    expect(status).toBe(1);
    expect(stdout).toContain('DOES NOT HOLD');
    expect(json('graph.json').summary.holds).toBe(false);
  });

  it('needs an earlier autoencoder, and says how to get one', async () => {
    const { status, stderr } = await concepts('graph', photo(), '--sae', join(made.model, 'saes', 'layer2'));
    expect(status).toBe(2);
    expect(stderr).toContain('E_GRAPH_LEVELS');
    expect(stderr).toContain('fact sae train');
  });

  it('refuses wrong input with what to do', async () => {
    const cases: [string[], string][] = [
      [['graph'], 'no picture is given'],
      [['graph', photo(), '--data-dir', made.photos], 'both pictures and --data-dir'],
      [['graph', photo(), '--class', 'volley ball'], 'volleyball'],
      [['graph', photo(), '--top', '0'], 'positive whole number'],
      [['graph', '--data-dir', made.photos, '--class', 'espresso'], 'no image of espresso'],
      [['edit', photo()], 'nothing is to be edited'],
      [['edit', photo(), '--remove', '64'], '0 to 63'],
      [['edit', photo(), '--remove', '3,3'], 'named twice'],
      [['edit', photo(), '--scale', '3=-1'], 'negative'],
      [['edit', photo(), '--scale', '3=NaN'], 'not a number'],
      [['edit', '--data-dir', made.photos, '--remove', '1', '--class', 'tabby'], '--class is for pictures'],
      [['versus', photo(), '--class', 'tabby', '--versus', '0'], 'the same class'],
      [['versus', '--data-dir', made.photos, '--class', 'tabby'], 'are for pictures'],
      [['versus', '--data-dir', made.photos, '--top', '2'], '--top is for pictures'],
      [['edit', '--data-dir', made.photos, '--remove', '1', '--top', '2'], '--top is for pictures'],
    ];
    for (const [argv, words] of cases) {
      const { status, stderr } = await concepts(...argv, '--out', out());
      expect(`${status} ${stderr}`, argv.join(' ')).toContain(words);
      expect(status).toBe(2);
    }
    expect(existsSync(out())).toBe(false);
    expect(existsSync(`${out()}.partial`)).toBe(false);
  });

  it('never replaces a folder that is not its own', async () => {
    mkdirSync(out());
    writeFileSync(join(out(), 'mine.txt'), 'mine');
    for (const verb of [['graph'], ['versus'], ['edit', '--remove', '1']]) {
      const { status, stderr } = await concepts(verb[0], photo(), ...verb.slice(1), '--out', out());
      expect(status).toBe(2);
      expect(stderr).toContain('E_OUT_EXISTS');
    }
    expect(readFileSync(join(out(), 'mine.txt'), 'utf8')).toBe('mine');
  });

  it('fails where every picture is broken', async () => {
    const broken = writeBroken(join(made.root, 'broken.jpg'));
    const { status } = await concepts('graph', broken, '--out', out());
    expect(status).toBe(1);
    expect(existsSync(out())).toBe(false);
    rmSync(broken);
  });
});

describe('fact concepts versus', () => {
  it('compares the answer with the true class or the runner-up, picture by picture', async () => {
    const { status, stdout } = await concepts('versus', made.photos, '--top', '3', '--out', out());
    expect(status).toBe(0);
    expect(stdout).toContain('all sums hold');
    expect(stdout).toMatch(/overtakes|no removal/);
    const file = versusFileSchema.parse(json('versus.json'));
    expect(file.images).toHaveLength(3);
    for (const one of file.images) {
      if (one.trueClass === null || one.trueClass.index === one.predicted.index)
        expect(one.reason).toBe('runner-up');
      else expect([one.reason, one.versus.index]).toEqual(['misclassified', one.trueClass.index]);
      expect(readFileSync(join(out(), one.picture), 'utf8')).toContain('<svg');
    }
  });

  it('counts the confusions of a data set', async () => {
    const { status } = await concepts('versus', '--data-dir', made.photos, '--workers', '0', '--out', out());
    expect(status).toBe(0);
    const file = confusionFileSchema.parse(json('confusions.json'));
    expect(file.images).toBe(3);
    expect(file.missed).toBe(file.confusions.reduce((n, { images }) => n + images, 0));
  });
});

describe('fact concepts edit', () => {
  it('shows each class before, by the sum, with the factors held, and by a true forward pass', async () => {
    const argv = [
      'edit',
      photo(),
      '--remove',
      '1,2',
      '--scale',
      '5=0.5',
      '--class',
      'espresso',
      '--out',
      out(),
    ];
    const { status, stdout } = await concepts(...argv);
    expect(status).toBe(0);
    expect(stdout).toContain('exact sum');
    const file = editFileSchema.parse(json('edit.json'));
    const [one] = file.images;
    expect(one.classes.some(({ name }) => name === 'espresso')).toBe(true);
    for (const { predicted, held } of one.classes) expect(held).toBeCloseTo(predicted, 4);
    expect(one.holds).toBe(true);
  });

  it('counts accuracy before and after over a data set', async () => {
    const argv = [
      'edit',
      '--data-dir',
      made.photos,
      '--keep-only',
      '3',
      '--image-batch',
      '1',
      '--workers',
      '0',
      '--out',
      out(),
    ];
    const { status, stdout } = await concepts(...argv);
    expect(status).toBe(0);
    expect(stdout).toContain('top-1');
    const whole = readFileSync(join(out(), 'edit.json'), 'utf8');
    const file = editDataSchema.parse(JSON.parse(whole));
    expect([file.images, file.labelled]).toEqual([3, 2]);
    expect(file.holds).toBe(true);
    rmSync(out(), { recursive: true });
  });
});

describe('work that is stopped', () => {
  /** Stops at the given call as Ctrl-C does, then goes on; the files are those of a run that was never stopped. */
  async function stopAndGoOn(
    stop: { mockRestore: () => void; mock: { calls: unknown[] } },
    file: string,
    argv: readonly string[],
  ): Promise<void> {
    const first = await concepts(...argv);
    stop.mockRestore();
    expect(first.status).toBe(130);
    expect(first.stderr).toContain('the same command goes on from there');
    expect(first.stdout).toBe('');
    expect(existsSync(out())).toBe(false);
    const journal = readFileSync(join(`${out()}.partial`, 'work.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(journal.length).toBeGreaterThan(1);
    const second = await concepts(...argv);
    expect(second.status).toBe(0);
    const resumed = readFileSync(join(out(), file), 'utf8');
    rmSync(out(), { recursive: true });
    await concepts(...argv);
    expect(readFileSync(join(out(), file), 'utf8')).toBe(resumed);
  }

  /** Spies on a method of a pass; its call of this number is interrupted. */
  function interrupt(prototype: object, method: string, call: number) {
    const methods = prototype as Record<string, (...args: unknown[]) => unknown>;
    const original = methods[method];
    let calls = 0;
    return vi.spyOn(methods, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
      if (++calls === call) process.emit('SIGINT');
      return original.apply(this, args);
    });
  }

  it('goes on with the next class of a data set', async () => {
    const stop = interrupt(GraphPass.prototype, 'weigh', 2);
    const argv = ['graph', '--data-dir', made.photos, '--top', '2', '--image-batch', '1', '--workers', '0'];
    await stopAndGoOn(stop, 'graph.json', [...argv, '--out', out()]);
  });

  it('goes on with the next picture', async () => {
    const stop = interrupt(GraphPass.prototype, 'trace', 2);
    await stopAndGoOn(stop, 'graph.json', ['graph', made.photos, '--top', '2', '--out', out()]);
  });

  it('goes on with the next batch', async () => {
    const argv = ['--image-batch', '1', '--workers', '0', '--out', out()];
    const stop = interrupt(EditPass.prototype, 'scores', 2);
    await stopAndGoOn(stop, 'edit.json', ['edit', '--data-dir', made.photos, '--remove', '3', ...argv]);
    rmSync(out(), { recursive: true });
    const again = interrupt(EditPass.prototype, 'scores', 2);
    await stopAndGoOn(again, 'confusions.json', ['versus', '--data-dir', made.photos, ...argv]);
  });

  it('is not gone on with where another autoencoder lies in the folder by now', async () => {
    const sae = join(made.root, 'sae');
    cpSync(join(made.model, 'saes', 'layer2'), sae, { recursive: true });
    const early = join(made.model, 'saes', 'layer1');
    const verbs = [
      { pass: EditPass, file: 'edit.json', argv: ['edit', made.photos, '--remove', '3'] },
      { pass: EditPass, file: 'edit.json', argv: ['edit', '--data-dir', made.photos, '--remove', '3'] },
      { pass: GraphPass, file: 'graph.json', argv: ['graph', made.photos, '--top', '2', '--sae', early] },
      {
        pass: GraphPass,
        file: 'graph.json',
        argv: ['graph', '--data-dir', made.photos, '--top', '2', '--sae', early],
      },
    ];
    const settings = ['--image-batch', '1', '--workers', '0', '--sae', sae, '--out', out()];
    for (const [i, { pass, file, argv }] of verbs.entries()) {
      const method = pass === EditPass ? 'scores' : 'weigh';
      const stop = interrupt(pass.prototype, method, 2);
      const first = await concepts(...argv, ...settings);
      stop.mockRestore();
      expect(first.status).toBe(130);
      const model = await loadModel(made.model);
      const other = randomSae(model, 'layer2', 64, 3, 50 + i);
      await saveSae(sae, other);
      other.dispose();
      model.dispose();
      expect((await concepts(...argv, ...settings)).status).toBe(0);
      const resumed = readFileSync(join(out(), file), 'utf8');
      rmSync(out(), { recursive: true });
      await concepts(...argv, ...settings);
      expect(readFileSync(join(out(), file), 'utf8'), argv.join(' ')).toBe(resumed);
      rmSync(out(), { recursive: true });
    }
  });
});
