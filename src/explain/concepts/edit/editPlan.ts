/** What a person asks of an edit, as a factor for each concept. */
import { FactError } from '../../../core/errors.js';

/** An edit as it was asked for. */
export interface EditRequest {
  /** Numbers of concepts whose activations become 0: "12,40". */
  readonly remove?: readonly string[];
  /** Factors: "7=0.5". */
  readonly scale?: readonly string[];
  /** Numbers of the only concepts that stay; all others become 0. */
  readonly keepOnly?: readonly string[];
}

/** One line of an edit. */
export interface EditStep {
  readonly concept: number;
  readonly factor: number;
}

export interface EditPlan {
  /** One a concept. */
  readonly factors: Float32Array;
  /** What was named, by number. */
  readonly steps: readonly EditStep[];
  /** Whether every concept that is not named becomes 0. */
  readonly isKeepOnly: boolean;
}

function editError(message: string, remedy: string): FactError {
  return new FactError({ code: 'E_CONCEPT_EDIT', message, remedy, exitCode: 2 });
}

function listOf(texts: readonly string[]): string[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** A concept's number. Throws FactError E_CONCEPT_EDIT (no number), E_CONCEPT_UNKNOWN (the autoencoder lacks it). */
export function conceptNumber(text: string, latents: number): number {
  if (!/^\d+$/.test(text.trim()))
    throw editError(`"${text}" is not the number of a concept`, `Give a number from 0 to ${latents - 1}.`);
  const concept = Number(text);
  if (concept < latents) return concept;
  throw new FactError({
    code: 'E_CONCEPT_UNKNOWN',
    message: `there is no concept ${text.trim()}: the autoencoder has ${latents}`,
    remedy: `Give a number from 0 to ${latents - 1}.`,
    exitCode: 2,
  });
}

/** A factor of at least 0: activations are never negative, so no image has the code that a negative factor would make. */
function factorOf(text: string, concept: number): number {
  const factor = Number(text);
  if (text.trim() === '' || !Number.isFinite(factor))
    throw editError(
      `the factor "${text}" of concept ${concept} is not a number`,
      'Give one such as --scale 7=0.5.',
    );
  if (factor < 0)
    throw editError(
      `the factor ${text} of concept ${concept} is negative`,
      'Activations are never negative: give a factor of 0 (removed) or more.',
    );
  return factor;
}

/**
 * The factors of an edit; without any request all are 1. Throws FactError E_CONCEPT_UNKNOWN, E_CONCEPT_EDIT (the same
 * concept twice, no number, a factor that is negative or no number, --keep-only with --remove).
 */
export function planEdit(request: EditRequest, latents: number): EditPlan {
  const keep = request.keepOnly === undefined ? null : listOf(request.keepOnly);
  const remove = listOf(request.remove ?? []);
  if (keep !== null && remove.length > 0)
    throw editError(
      '--keep-only removes all concepts but its own, so --remove has nothing to add',
      'Give one of the two.',
    );
  const factors = new Float32Array(latents).fill(keep === null ? 1 : 0);
  const named = new Map<number, number>();
  const name = (concept: number, factor: number): void => {
    if (named.has(concept)) throw editError(`concept ${concept} is named twice`, 'Name each concept once.');
    named.set(concept, factor);
  };
  for (const text of remove) name(conceptNumber(text, latents), 0);
  const kept = new Set((keep ?? []).map((text) => conceptNumber(text, latents)));
  if (keep !== null && kept.size < keep.length)
    throw editError('--keep-only names a concept twice', 'Name each concept once.');
  for (const text of listOf(request.scale ?? [])) {
    const at = text.indexOf('=');
    if (at < 0) throw editError(`"${text}" names no factor`, 'Write CONCEPT=FACTOR, such as --scale 7=0.5.');
    const concept = conceptNumber(text.slice(0, at), latents);
    if (keep !== null && !kept.has(concept))
      throw editError(
        `concept ${concept} is scaled but not kept`,
        `Add it to --keep-only, or leave its factor out.`,
      );
    name(concept, factorOf(text.slice(at + 1), concept));
  }
  for (const concept of kept) if (!named.has(concept)) named.set(concept, 1);
  for (const [concept, factor] of named) factors[concept] = factor;
  const steps = [...named].map(([concept, factor]) => ({ concept, factor }));
  return { factors, steps: steps.sort((a, b) => a.concept - b.concept), isKeepOnly: keep !== null };
}

/** The edit in words: "concept 12 removed, concept 7 x 0.5". */
export function editWords({ steps, isKeepOnly }: EditPlan): string {
  const some = steps.slice(0, 6).map(({ concept, factor }) => {
    if (factor === 0) return `concept ${concept} removed`;
    if (factor === 1) return `concept ${concept} kept`;
    return `concept ${concept} × ${factor}`;
  });
  const rest = steps.length > some.length ? [`${steps.length - some.length} more`] : [];
  const all = [...some, ...rest].join(', ');
  if (!isKeepOnly) return all === '' ? 'no change' : all;
  return all === '' ? 'all concepts removed' : `only ${all}, all others removed`;
}
