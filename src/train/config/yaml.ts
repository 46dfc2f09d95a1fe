import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { configError } from './errors.js';

/** Recipes are small; a larger file is something else. */
const MAX_CONFIG_BYTES = 1_000_000;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
const LOOKS_OCTAL = /^[-+]?0[0-9]+$/;

export interface ParsedYaml {
  readonly value: unknown;
  /** Line (from 1) of the deepest existing node on a path of keys. */
  lineOf(path: readonly PropertyKey[]): number;
}

function refuseOddNodes(document: Document, name: string, lines: LineCounter): void {
  const where = (offset: number | undefined): string => `${name}:${lines.linePos(offset ?? 0).line}`;
  const refuseAnchor = (node: Alias | YAMLMap | YAMLSeq | Scalar): void => {
    if (!isAlias(node) && node.anchor === undefined) return;
    throw configError(
      where(node.range?.[0]),
      'anchors and aliases are not allowed',
      'Write the values out where they are used.',
    );
  };
  visit(document, {
    Alias: (_, node) => refuseAnchor(node),
    Collection: (_, node) => refuseAnchor(node),
    Scalar(key, node) {
      refuseAnchor(node);
      if (key !== 'key' && typeof node.value === 'number' && LOOKS_OCTAL.test(node.source ?? '')) {
        throw configError(
          where(node.range?.[0]),
          `the number ${node.source} has a leading zero: octal or decimal?`,
          'Drop the zero, or put quotes around a text.',
        );
      }
    },
    Pair(_, pair) {
      const key = isScalar(pair.key) ? pair.key.value : pair.key;
      if (typeof key !== 'string' || FORBIDDEN_KEYS.has(key)) {
        throw configError(
          where(isNode(pair.key) ? pair.key.range?.[0] : undefined),
          `"${String(key)}" cannot be a key`,
          'Remove this key.',
        );
      }
    },
  });
}

/**
 * Parses one YAML 1.2 document with the core types only: no anchors, no tags, no duplicate or odd keys. A byte order
 * mark and CRLF are fine. Throws FactError E_CONFIG with the line.
 */
export function parseYaml(text: string, name: string): ParsedYaml {
  if (text.length > MAX_CONFIG_BYTES) {
    throw configError(name, `larger than ${MAX_CONFIG_BYTES} bytes`, 'Give a recipe, see configs/.');
  }
  const lines = new LineCounter();
  const document = parseDocument(text.replace(/^\uFEFF/, ''), {
    lineCounter: lines,
    uniqueKeys: true,
    version: '1.2',
    schema: 'core',
    merge: false,
    logLevel: 'error',
    prettyErrors: false,
  });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    throw configError(
      `${name}:${lines.linePos(problem.pos[0]).line}`,
      problem.message.split('\n')[0],
      'Correct the YAML on that line.',
    );
  }
  refuseOddNodes(document, name, lines);
  return {
    value: document.toJS({ maxAliasCount: 0 }),
    lineOf(path) {
      let node: unknown = document.contents;
      let offset = 0;
      for (const key of path) {
        if (isMap(node)) {
          const pair = node.items.find(
            (item) => isPair(item) && isScalar(item.key) && item.key.value === key,
          );
          if (pair === undefined) break;
          if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
          node = pair.value;
        } else {
          break;
        }
      }
      return lines.linePos(offset).line;
    },
  };
}
