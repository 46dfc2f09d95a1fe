import type { LaptopPlan } from '../../train/sae/plan/laptop.js';
import type { PlanOptions, SettingPlan, StoreCost } from '../../train/sae/plan/plan.js';
import type { PlanRates } from '../../train/sae/plan/rates.js';

const GIB = 2 ** 30;

/** 181.5 GB; small amounts with more digits. */
function gigabytes(bytes: number): string {
  const value = bytes / 1e9;
  return `${value.toFixed(value < 10 ? 2 : 1)} GB`;
}

function both(bytes: number): string {
  return `${gigabytes(bytes)} (${(bytes / GIB).toFixed(bytes < 10 * GIB ? 1 : 0)} GiB)`;
}

function hours(seconds: number): string {
  const value = seconds / 3600;
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

const percent = (share: number): string =>
  `${share >= 0.1 ? (100 * share).toFixed(0) : (100 * share).toFixed(1)} %`;

const number = (value: number): string => value.toLocaleString('en-US');

/** Rows as aligned columns: the first column to the left, the others to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return [head, ...rows].map(line).join('\n');
}

const nameOf = ({ setting }: SettingPlan): string => `${setting.network} ${setting.tap}`;

function sizeTable(plans: readonly SettingPlan[]): string {
  return table(
    ['', 'concepts', 'k', 'positions', 'rows', 'features', 'store f32', 'f16', 'memory', 'rows an update'],
    plans.map((plan) => {
      const { config, kept, positions } = plan.setting;
      return [
        nameOf(plan),
        String(config.latents),
        String(config.k),
        `${kept} of ${positions}`,
        number(plan.rows),
        both(plan.featureBytes),
        gigabytes(plan.f32.bytes),
        gigabytes(plan.f16.bytes),
        gigabytes(plan.memory.total),
        number(config.batchRows),
      ];
    }),
  );
}

function hourTable(plans: readonly SettingPlan[]): string {
  return table(
    ['', 'collection', 'training', 'evaluation', 'together', 'updates', 'read from disk'],
    plans.map((plan) => {
      if (plan.seconds === null) return [nameOf(plan), '?', '?', '?', '?', number(plan.updates), '?'];
      const { collection, training, evaluation } = plan.seconds;
      return [
        nameOf(plan),
        hours(collection),
        hours(training),
        hours(evaluation),
        hours(collection + training + evaluation),
        number(plan.updates),
        plan.readRate === null ? '-' : `${(plan.readRate / 1e6).toFixed(0)} MB/s`,
      ];
    }),
  );
}

function limitLine(name: string, store: StoreCost, images: number): string {
  return `${name} ${percent(store.images / images)} (${number(store.rows)} rows, ${gigabytes(store.bytes)})`;
}

function laptopLine(plan: SettingPlan, laptop: LaptopPlan): string {
  const { batchRows } = plan.setting.config;
  const memory =
    laptop.batchRows === 0
      ? `does not fit the memory (${gigabytes(laptop.memoryBytes)} at the smallest batch)`
      : laptop.batchRows === batchRows
        ? `memory fits as it is`
        : `--batch ${laptop.batchRows} for ${gigabytes(laptop.memoryBytes)} of memory`;
  const disk =
    laptop.share.f32 === 1
      ? 'the f32 store fits'
      : laptop.share.f16 === 1
        ? 'the f16 store fits'
        : `--max-gb 100 keeps ${percent(laptop.share.f32)} of the images, f16 ${percent(laptop.share.f16)}; --on-the-fly needs no disk`;
  return `  ${nameOf(plan)}: ${memory}; ${disk}`;
}

/** What `fact sae plan` prints. */
export function planText(
  plans: readonly SettingPlan[],
  options: PlanOptions,
  rates: PlanRates,
  laptops: readonly LaptopPlan[],
): string {
  const { images, heldOut, validation, onTheFly, maxBytes } = options;
  const parts = [
    `${number(images)} images for features, ${number(heldOut)} held out, ${number(validation)} to evaluate on`,
    `${sizeTable(plans)}\nwhile it is written, a store takes up to ${gigabytes(Math.max(...plans.map(({ f32 }) => f32.peakBytes - f32.bytes)))} more`,
  ];
  if (maxBytes !== null && !onTheFly) {
    const lines = plans.flatMap(({ limited, ...plan }) =>
      limited === null
        ? []
        : [
            `  ${nameOf({ ...plan, limited })}: ${limitLine('f32', limited.f32, images)}, ${limitLine('f16', limited.f16, images)}`,
          ],
    );
    parts.push([`Within ${gigabytes(maxBytes)} of disk at any time, of the images:`, ...lines].join('\n'));
  }
  const way = onTheFly
    ? 'on the fly, the network in every epoch'
    : maxBytes === null
      ? 'from a store in f32'
      : 'from the f32 store within the limit';
  parts.push(`Hours, ${way}. Rates are ${rates.source}\n${hourTable(plans)}`);
  parts.push(
    [
      'On a laptop with 16 GB of memory and 100 GB of free disk:',
      ...plans.map((plan, i) => laptopLine(plan, laptops[i])),
    ].join('\n'),
  );
  parts.push(
    [
      'Assumed: the machine does nothing else; decoding shares its threads with the network; reading the store overlaps',
      'with training where the disk gives the rate in the last column; an f16 store trains as fast as an f32 one.',
    ].join('\n'),
  );
  return parts.join('\n\n');
}
