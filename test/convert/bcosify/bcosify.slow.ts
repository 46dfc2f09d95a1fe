import { describe, expect, it } from 'vitest';
import { bcosify } from '../../../src/convert/bcosify/bcosify.js';
import { BCOSIFY_TOLERANCE, compareLogits } from '../../../src/convert/bcosify/bcosifyCheck.js';
import { useEngine } from '../../engine.js';
import { trained } from '../standardNetworks.js';

useEngine();

describe('at full size, B = 1', () => {
  it.each([
    'torchvision_resnet18',
    'torchvision_resnet50',
    'torchvision_densenet121',
    'standard_simple_vit_s_patch16_224',
    'standard_vitc_ti_patch1_14',
  ])('%s keeps its logits', async (arch) => {
    const standard = trained(arch, {});
    const twin = bcosify(standard);
    const { relativeError } = await compareLogits(standard, twin);
    expect(relativeError).toBeLessThanOrEqual(BCOSIFY_TOLERANCE);
    standard.dispose();
    twin.dispose();
  });
});
