/**
 * Every B-cos network of the goldens, with the goldens' weights, explains real photographs: its sums must hold to 1e-5,
 * and the sum of a ViT must name the position embedding. (The published weights cannot stand in a test.)
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { listImages } from '../../src/data/listImages.js';
import { Explainer } from '../../src/explain/explainer.js';
import { DEFAULT_TOLERANCE } from '../../src/explain/ledger.js';
import { readImage } from '../../src/explain/session/imageFiles.js';
import { createModel } from '../../src/models/createModel.js';
import { listModels, modelEntry } from '../../src/models/registry.js';
import { exact, type GoldenCheck, type GoldenSuite } from './checks.js';
import { fillModel, type NetFill } from './filledNet.js';

const ROOT = resolve(import.meta.dirname, '..', '..');
const DATA = join(process.env.FACT_DATA ?? resolve(ROOT, '..', 'shared', 'data'), 'imagenet-sample');
const PHOTOGRAPHS = 4;

/** Photographs of different classes: of the ImageNet sample where it is, else those that come with the project. */
function photographs(): string[] {
  const all = listImages([existsSync(DATA) ? DATA : join(ROOT, 'examples', 'photos')]);
  const step = Math.floor(all.length / PHOTOGRAPHS);
  return Array.from({ length: PHOTOGRAPHS }, (_, i) => all[i * step]);
}

async function runLedgers(path: string, name: string): Promise<readonly GoldenCheck[]> {
  const golden = JSON.parse(readFileSync(path, 'utf8')) as NetFill;
  const model = createModel(name, { weights: 'zero' });
  try {
    fillModel(model, golden);
    const explainer = new Explainer(model, null);
    const checks: GoldenCheck[] = [];
    try {
      for (const photograph of photographs()) {
        const [explanation] = await explainer.explain([await readImage(photograph, model.spec)]);
        for (const ledger of explanation.ledgers) {
          const error = ledger.relativeError;
          checks.push({ tensor: ledger.subject, error, tolerance: DEFAULT_TOLERANCE });
          if (modelEntry(name).family === 'vit')
            checks.push(
              exact(
                'the position embedding is named',
                ledger.lines.some((line) => line.name.includes('position_embedding')),
              ),
            );
        }
      }
    } finally {
      explainer.dispose();
    }
    return checks;
  } finally {
    model.dispose();
  }
}

function suite(name: string, wanted: (net: string) => boolean): GoldenSuite {
  return {
    name,
    part: join('bcos', 'nets'),
    cases: (folder) => {
      const goldens = readdirSync(join(folder, 'bcos', 'nets'));
      return listModels()
        .filter((entry) => entry.bcos && wanted(entry.name) && goldens.includes(`${entry.name}.json`))
        .map((entry) => ({
          name: entry.name,
          run: () => runLedgers(join(folder, 'bcos', 'nets', `${entry.name}.json`), entry.name),
        }));
    },
  };
}

const isSmall = (net: string): boolean => net.startsWith('cifar10');

export const ledgers = suite('ledgers', isSmall);
export const bigLedgers = suite('big ledgers', (net) => !isSmall(net));
