import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import { messageOf, systemCodeOf } from '../../core/errors.js';
import { nearestName } from '../../core/nearest.js';
import { configError } from './errors.js';
import { type TrainConfig, trainConfigSchema } from './schema.js';
import { parseYaml } from './yaml.js';

type Plain = Record<string, unknown>;

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Removes the wrappers (default, nullable, ...) around a schema. */
function unwrap(schema: z.ZodType): z.ZodType {
  let inner: z.ZodType = schema;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodOptional
  ) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}

/** The keys that the schema knows at a path; a union contributes those of the alternative that `value` names. */
function knownKeys(root: z.ZodType, path: readonly PropertyKey[], value: unknown): string[] {
  let schema = unwrap(root);
  let here = value;
  const resolveUnion = (): void => {
    if (schema instanceof z.ZodDiscriminatedUnion) {
      const name = isPlain(here) ? here.name : undefined;
      const options = (schema.options as z.ZodObject[]).map((option) => unwrap(option) as z.ZodObject);
      schema =
        options.find((option) => (option.shape.name as z.ZodLiteral | undefined)?.value === name) ??
        options[0];
    }
  };
  for (const key of path) {
    resolveUnion();
    if (schema instanceof z.ZodObject) schema = unwrap(schema.shape[String(key)] as z.ZodType);
    else if (schema instanceof z.ZodArray) schema = unwrap(schema.element as z.ZodType);
    else return [];
    here = isPlain(here) || Array.isArray(here) ? (here as Plain)[String(key)] : undefined;
  }
  resolveUnion();
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** `key=value` of the command line: the value is read as YAML; the path's parents are created. */
function applyOverride(root: Plain, override: string): string[] {
  const cut = override.indexOf('=');
  const path = override.slice(0, Math.max(0, cut)).trim().split('.');
  if (cut < 1 || path.some((part) => part.length === 0)) {
    throw configError(
      `--set ${override}`,
      'not of the form key=value',
      'Write for example --set optimizer.rate=0.001',
    );
  }
  const { value } = parseYaml(`value: ${override.slice(cut + 1)}`, `--set ${path.join('.')}`);
  let target = root;
  for (const part of path.slice(0, -1)) {
    const next = Object.hasOwn(target, part) ? target[part] : undefined;
    if (isPlain(next)) {
      target = next;
    } else {
      const created: Plain = {};
      Object.defineProperty(target, part, {
        value: created,
        enumerable: true,
        writable: true,
        configurable: true,
      });
      target = created;
    }
  }
  Object.defineProperty(target, path[path.length - 1], {
    value: (value as Plain).value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
  return path;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
}

function checkTogether(config: TrainConfig, where: string): void {
  const fail = (what: string, remedy: string): never => {
    throw configError(where, what, remedy);
  };
  const { schedule, epochs, optimizer, data } = config;
  if (schedule.interval === 'epoch' && schedule.warmup.steps !== null)
    fail('schedule.warmup.steps needs schedule.interval: step', 'Set interval: step, or warmup.epochs.');
  if (schedule.interval === 'epoch' && !Number.isInteger(schedule.warmup.epochs))
    fail('schedule.warmup.epochs is not whole', 'Set schedule.interval: step for a fraction of an epoch.');
  if (schedule.warmup.steps === null && schedule.warmup.epochs >= epochs && schedule.warmup.epochs > 0)
    fail(
      `schedule.warmup.epochs is ${schedule.warmup.epochs} of ${epochs} epochs`,
      'Make it shorter than epochs.',
    );
  if (schedule.minimum > optimizer.rate)
    fail(
      `schedule.minimum ${schedule.minimum} is above optimizer.rate ${optimizer.rate}`,
      'Make it smaller.',
    );
  if (optimizer.name === 'sgd' && optimizer.nesterov && optimizer.momentum === 0)
    fail('optimizer.nesterov has no effect without momentum', 'Set optimizer.momentum, or nesterov: false.');
  const { crop, padding, scale, ratio } = data.augment;
  if (crop !== 'pad' && padding !== 0)
    fail('data.augment.padding has no effect without crop: pad', 'Set crop: pad, or padding: 0.');
  if (scale[0] > scale[1] || ratio[0] > ratio[1])
    fail('data.augment.scale or ratio has its larger end first', 'Write [smallest, largest].');
  if (data.evalResize !== null && data.evalResize < Math.max(...data.imageSize))
    fail(
      `data.evalResize ${data.evalResize} is smaller than the image size`,
      'Make it at least the image size.',
    );
  if (config.init.newHead !== null && config.init.from === null)
    fail(
      'init.newHead has no effect without init.from',
      'Name the weights to start from, or set newHead: null.',
    );
}

/** Checks a recipe that is plain data and fills in the defaults. `where` names its origin in errors (E_CONFIG). */
export function resolveConfig(
  value: unknown,
  where = 'config',
  lineOf?: (path: readonly PropertyKey[]) => string,
): TrainConfig {
  const place = (path: readonly PropertyKey[]): string => lineOf?.(path) ?? where;
  const result = trainConfigSchema.safeParse(value);
  if (result.success) {
    checkTogether(result.data, where);
    return result.data;
  }
  const { issues } = result.error;
  // A mistyped key also makes another one missing: the typo is the better news.
  const issue = issues.find((one) => one.code === 'unrecognized_keys') ?? issues[0];
  const name = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0];
    const full = name === '' ? key : `${name}.${key}`;
    const known = knownKeys(trainConfigSchema, issue.path, value);
    const near = nearestName(key, known);
    throw configError(
      place([...issue.path, key]),
      `unknown key "${full}"`,
      near === undefined ? `Known keys here: ${known.join(', ')}.` : `Did you mean "${near}"?`,
    );
  }
  const received = valueAt(value, issue.path);
  if (received === undefined && issue.path.length > 0) {
    throw configError(
      place(issue.path),
      `the key "${name}" is missing`,
      'Add it; configs/ holds complete recipes.',
    );
  }
  throw configError(
    place(issue.path),
    `${name === '' ? 'the recipe' : `"${name}"`} is ${describe(received)}: ${issue.message.replace(/^Invalid input: /, '')}`,
    'Correct the value; docs/training.md explains each key.',
  );
}

/** Reads a recipe given as YAML text. `overrides` are `key.path=value` texts and win over the file. Throws E_CONFIG. */
export function parseConfig(text: string, name: string, overrides: readonly string[] = []): TrainConfig {
  const parsed = parseYaml(text, name);
  if (!isPlain(parsed.value)) {
    throw configError(
      name,
      parsed.value === null || parsed.value === undefined
        ? 'the file is empty'
        : 'the file holds no mapping of keys',
      'Start from one of the recipes in configs/.',
    );
  }
  const root = structuredClone(parsed.value);
  const set = overrides.map((override) => applyOverride(root, override));
  return resolveConfig(root, name, (path) => {
    const override = set.findLast((keys) =>
      keys.every((key, i) => i >= path.length || key === String(path[i])),
    );
    return override === undefined ? `${name}:${parsed.lineOf(path)}` : `--set ${override.join('.')}`;
  });
}

/** Reads a recipe from a YAML file. Throws FactError E_CONFIG. */
export function loadConfig(path: string, overrides: readonly string[] = []): TrainConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const missing = systemCodeOf(error) === 'ENOENT';
    throw configError(
      path,
      missing ? 'no such file' : `cannot be read: ${messageOf(error)}`,
      missing ? 'Check the path; recipes lie in configs/.' : 'Check the path and its permissions.',
    );
  }
  return parseConfig(text, basename(path), overrides);
}
