import { FactError } from '../core/errors.js';
import { nearestName } from '../core/nearest.js';
import type { ModelSpec } from './spec.js';

/** Name of a class: the network's, or "class 7" where it has none. */
export function className(spec: Pick<ModelSpec, 'classNames'>, index: number): string {
  return spec.classNames?.[index] ?? `class ${index}`;
}

/** How names are compared: lower case, and spaces, hyphens and underscores alike. */
function plain(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ');
}

/** Number of the class with this name (case, hyphens and underscores do not matter), or undefined. */
export function findClass(spec: Pick<ModelSpec, 'classNames'>, name: string): number | undefined {
  const index = spec.classNames?.findIndex((known) => plain(known) === plain(name)) ?? -1;
  return index < 0 ? undefined : index;
}

/**
 * Number of a class that a user names: its name, or its number counted from 0.
 * Throws FactError E_CLASS with the nearest known name, or the range.
 */
export function resolveClass(
  spec: Pick<ModelSpec, 'classNames'> & { readonly options: Pick<ModelSpec['options'], 'numClasses'> },
  text: string,
): number {
  const named = findClass(spec, text);
  if (named !== undefined) return named;
  const count = spec.options.numClasses;
  if (/^\d+$/.test(text.trim())) {
    const index = Number(text);
    if (index < count) return index;
    throw new FactError({
      code: 'E_CLASS',
      message: `there is no class ${text}: the network has ${count} classes`,
      remedy: `Give a number from 0 to ${count - 1}${spec.classNames === null ? '' : ', or a name'}.`,
      exitCode: 2,
    });
  }
  if (spec.classNames === null) {
    throw new FactError({
      code: 'E_CLASS',
      message: `there is no class "${text}": this network has no class names`,
      remedy: `Give a number from 0 to ${count - 1}.`,
      exitCode: 2,
    });
  }
  const near = nearestName(text, spec.classNames);
  throw new FactError({
    code: 'E_CLASS',
    message: `there is no class "${text}"`,
    remedy: `${near === undefined ? '' : `Did you mean "${near}"? `}It has ${count} classes, such as ${spec.classNames
      .slice(0, 3)
      .map((name) => `"${name}"`)
      .join(', ')}; or give a number from 0 to ${count - 1}.`,
    exitCode: 2,
  });
}
