import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useEngine } from '../engine.js';
import { goldensFolder } from '../goldens/format.js';
import { fuzz, READERS } from './fuzz.js';

useEngine('cpu');

const INPUTS = { pytorch: 1000, safetensors: 400, onnx: 400, tfjs: 400, network: 150, sae: 150 } as const;

describe('mutants of files', () => {
  const needsGoldens = (reader: string): boolean => reader === 'safetensors' && goldensFolder() === null;

  it.each(READERS.filter((reader) => !needsGoldens(reader)))(
    'of the kind %s are read whole or refused with a typed error, and nothing is written',
    async (reader) => {
      const before = readdirSync('.').join();
      const result = await fuzz(reader, INPUTS[reader], 1);
      expect(result.inputs).toBe(INPUTS[reader]);
      expect(result.accepted).toBeGreaterThan(5);
      expect(Object.keys(result.refused).length).toBeGreaterThan(0);
      expect(existsSync('PAYLOAD_EXECUTED')).toBe(false);
      expect(readdirSync('.').join()).toBe(before);
    },
  );
});
