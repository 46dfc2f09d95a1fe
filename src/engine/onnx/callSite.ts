/** Where user code called into tfjs, read from a stack. */
export interface CallSite {
  /** The tfjs function that was called, e.g. `Tensor.dataSync`; null where the stack does not tell. */
  readonly operation: string | null;
  /** `file:line:column` of the caller, or null. */
  readonly caller: string | null;
}

const FRAME = /^\s*at (?:async )?(?:(.+?) \()?(?:file:\/\/)?(.+?:\d+:\d+)\)?$/;
/** The folder `engine`, as stacks name it. */
const ENGINE_FOLDER = decodeURI(new URL('..', import.meta.url).pathname).replace(/^\/(?=[A-Za-z]:)/, '');
/** Built files, and the sources that source maps name. */
const TFJS = /(^|[\\/])(@tensorflow|tfjs-(core|layers|backend-cpu))[\\/]/;

/**
 * The innermost frame of a stack that is neither tfjs nor this engine, and the tfjs function that it called.
 * Frames are V8's: `at name (file:line:column)`.
 */
export function callSite(stack: string): CallSite {
  let operation: string | null = null;
  for (const line of stack.split('\n').slice(1)) {
    const match = FRAME.exec(line);
    if (match === null) continue;
    const [, name, place] = match;
    if (TFJS.test(place)) {
      if (name !== undefined && !name.includes('<anonymous>')) operation = functionName(name);
      continue;
    }
    if (place.replaceAll('\\', '/').startsWith(ENGINE_FOLDER) || place.startsWith('node:')) continue;
    return { operation, caller: place };
  }
  return { operation, caller: null };
}

/** tfjs's operations are internally named `topk_`, and V8 writes `Object.topk_` or `[as topk]`. */
function functionName(frame: string): string {
  const alias = /\[as (.+)\]/.exec(frame)?.[1];
  return (alias ?? frame).replace(/^Object\./, '').replace(/(\w)_+(_op)?$/, '$1');
}
