/** Speeds that a plan is made from. */
import type { PlanSetting } from './settings.js';

/** What depends on the setting. Seconds of processor-bound work; reading and writing overlap with it. */
export interface SettingRates {
  /** Pictures a second through the network, for features at the tap and the draw of positions. */
  readonly collect: number;
  /** Seconds of an update: at any batch, and for each row of it. */
  readonly update: { readonly fixed: number; readonly perRow: number };
  /** Pictures a second in `fact sae eval`. */
  readonly evaluate: number;
}

export interface PlanRates {
  /** Where they come from, as a person reads it. */
  readonly source: string;
  readonly threads: number;
  /** Pictures (500 x 375 JPEG) a second that one thread decodes, resizes and crops. */
  readonly decode: number;
  /** Null where nothing is known of a setting: it must be measured. */
  of(setting: PlanSetting): SettingRates | null;
}

/** Network and tap of a published setting, and its concepts. */
function keyOf({ network, tap, config }: PlanSetting): string {
  return `${network} ${tap} ${config.latents} ${config.k}`;
}

/** Pictures a second for features and for evaluation; milliseconds of an update, and microseconds for each row. */
type StatedRow = readonly [collect: number, evaluate: number, fixedMs: number, perRowUs: number];

const STATED: Readonly<Record<string, StatedRow>> = {
  'resnet50_long layer4 16384 16': [22.0, 16.9, 1043, 400],
  'resnet50_long layer3 16384 32': [19.4, 11.3, 578, 227],
  'resnet50_long layer2 8192 32': [15.3, 7.8, 175, 50],
  'densenet121_long features.norm5 16384 16': [29.7, 24.0, 577, 194],
  'densenet121_long features.transition3 16384 32': [30.9, 22.3, 263, 143],
  'densenet121_long features.transition2 8192 32': [20.4, 14.7, 89, 38],
  'vitc_s_patch1_14 transformer.encoder_10 8192 32': [23.4, 19.6, 122, 55],
  'vitc_s_patch1_14 transformer.encoder_9 16384 32': [21.7, 16.8, 238, 73],
  'vitc_s_patch1_14 transformer.encoder_8 16384 32': [21.0, 15.3, 251, 86],
  'vitc_s_patch1_14 transformer.encoder_4 16384 64': [15.9, 10.2, 198, 134],
};

/** Rates that were measured once, on two threads of a server processor (docs/sae-plan.md): `fact sae plan --measure`. */
export const STATED_RATES: PlanRates = {
  source: 'stated: measured on 2 threads of a server processor; --measure takes this machine',
  threads: 2,
  decode: 98,
  of: (setting) => {
    const row = STATED[keyOf(setting)];
    if (row === undefined) return null;
    const [collect, evaluate, fixedMs, perRowUs] = row;
    return { collect, evaluate, update: { fixed: fixedMs / 1e3, perRow: perRowUs / 1e6 } };
  },
};

/** Rates that were measured just now. */
export function measuredRates(
  rates: ReadonlyMap<PlanSetting, SettingRates>,
  machine: Pick<PlanRates, 'source' | 'threads' | 'decode'>,
): PlanRates {
  return { ...machine, of: (setting) => rates.get(setting) ?? null };
}
