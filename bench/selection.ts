/** A case, the speed relative to PyTorch that it is to reach (null: none), and whether it runs on wasm too. */
export interface BenchCase {
  readonly name: string;
  readonly goal: number | null;
  readonly onWasm?: boolean;
}

/** What a hand-made prototype reached, by task: batch 1, batch 8. */
const GOALS = {
  inference: [1.8, 1.6],
  class: [1.8, 1.35],
  concepts: [2.65, 1.8],
  maps: [2.2, 1.6],
} as const;

type Task = keyof typeof GOALS;
const TASKS = Object.keys(GOALS) as Task[];

function network(name: string, batches: readonly number[], tasks: readonly Task[] = TASKS): BenchCase[] {
  return batches.flatMap((batch) =>
    tasks.map((task) => ({
      name: `${name}/${batch}/${task}`,
      goal: GOALS[task][batch === 1 ? 0 : 1],
      onWasm: name === 'resnet20' && task === 'inference',
    })),
  );
}

const DEFAULT: readonly BenchCase[] = [
  ...network('resnet18', [1, 8]),
  ...network('resnet50', [1, 8]),
  ...network('resnet20', [128], ['inference', 'class', 'concepts']),
  { name: 'resnet18/8/train', goal: 1.1 },
  { name: 'resnet20/128/train', goal: 1.1, onWasm: true },
  { name: 'resnet18/8/features-layer4', goal: null },
  { name: 'resnet50/8/features-layer4', goal: null },
  { name: 'sae/512/8192', goal: 1.2 },
];

/** Features of taps with FaCT's budget of positions: images a second follow from the batch. */
const EXTRACTION: readonly BenchCase[] = ['resnet18', 'resnet50'].flatMap((network) =>
  [8, 32].flatMap((batch) =>
    ['layer4', 'layer3'].map((tap) => ({ name: `${network}/${batch}/features-${tap}`, goal: null })),
  ),
);

/** Beside the default ones, with `--all`. */
const MORE: readonly BenchCase[] = [
  ...EXTRACTION.filter(({ name }) => !DEFAULT.some((known) => known.name === name)),
  ...network('vitc_s', [1, 8]),
  { name: 'resnet50/8/train', goal: 1.1 },
  { name: 'sae/2048/16384', goal: 1.2 },
];

const QUICK = ['resnet18/1/', 'resnet20/128/inference', 'resnet20/128/class', 'sae'];

/** The cases that the options ask for: `cases` names parts of names, separated by commas. */
export function selectCases(options: { quick: boolean; all: boolean; cases: string }): BenchCase[] {
  const parts = options.cases.split(',').filter((part) => part !== '');
  const known = options.all || parts.length > 0 ? [...DEFAULT, ...MORE] : DEFAULT;
  const wanted = options.quick ? QUICK : parts;
  return known.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
}
