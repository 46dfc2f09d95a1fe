/**
 * A strict JSON reader (RFC 8259) for headers of files: objects become `Map`s, so that `__proto__` is a name like any
 * other; a name that is there twice is an error; depth and size are limited. `JSON.parse` does none of these.
 */
export type Json = null | boolean | number | string | readonly Json[] | ReadonlyMap<string, Json>;

/** What is wrong with a JSON text, and where. */
export class JsonFault extends Error {
  constructor(
    message: string,
    /** Offset in UTF-16 units. */
    readonly at: number,
    readonly isTooLarge = false,
  ) {
    super(message);
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside strings.
const STRING_PIECE = /[^"\\\u0000-\u001f]{1,4096}|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SPACE = /[ \t\n\r]*/y;
const WORDS: readonly (readonly [string, Json])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

/** Reads one JSON value and nothing after it but white space. Throws `JsonFault`. */
export function parseStrictJson(text: string, limits: { depth: number; values: number }): Json {
  let at = 0;
  let values = 0;

  const skipSpace = (): void => {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
  };
  const readString = (): string => {
    const start = at++;
    for (;;) {
      STRING_PIECE.lastIndex = at;
      if (!STRING_PIECE.test(text)) break;
      at = STRING_PIECE.lastIndex;
    }
    if (text[at] !== '"') throw new JsonFault('expected the end of a string', at);
    at++;
    return JSON.parse(text.slice(start, at)) as string;
  };
  const readValue = (depth: number): Json => {
    if (depth > limits.depth) throw new JsonFault(`nested deeper than ${limits.depth}`, at, true);
    if (++values > limits.values) throw new JsonFault(`more than ${limits.values} values`, at, true);
    skipSpace();
    const first = text[at];
    if (first === '{') return readObject(depth);
    if (first === '[') return readArray(depth);
    if (first === '"') return readString();
    for (const [word, value] of WORDS)
      if (text.startsWith(word, at)) {
        at += word.length;
        return value;
      }
    NUMBER.lastIndex = at;
    if (!NUMBER.test(text)) throw new JsonFault('expected a value', at);
    const number = Number(text.slice(at, NUMBER.lastIndex));
    at = NUMBER.lastIndex;
    return number;
  };
  const readObject = (depth: number): ReadonlyMap<string, Json> => {
    const object = new Map<string, Json>();
    at++;
    skipSpace();
    if (text[at] === '}') {
      at++;
      return object;
    }
    for (;;) {
      skipSpace();
      if (text[at] !== '"') throw new JsonFault('expected a name', at);
      const nameAt = at;
      const name = readString();
      if (object.has(name))
        throw new JsonFault(`the name ${JSON.stringify(name.slice(0, 80))} is there twice`, nameAt);
      skipSpace();
      if (text[at] !== ':') throw new JsonFault('expected ":"', at);
      at++;
      object.set(name, readValue(depth + 1));
      skipSpace();
      const mark = text[at++];
      if (mark === '}') return object;
      if (mark !== ',') throw new JsonFault('expected "," or "}"', at - 1);
    }
  };
  const readArray = (depth: number): readonly Json[] => {
    const array: Json[] = [];
    at++;
    skipSpace();
    if (text[at] === ']') {
      at++;
      return array;
    }
    for (;;) {
      array.push(readValue(depth + 1));
      skipSpace();
      const mark = text[at++];
      if (mark === ']') return array;
      if (mark !== ',') throw new JsonFault('expected "," or "]"', at - 1);
    }
  };

  const value = readValue(0);
  skipSpace();
  if (at !== text.length) throw new JsonFault('more text behind the value', at);
  return value;
}
