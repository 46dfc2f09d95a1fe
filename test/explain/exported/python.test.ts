import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomSae, smallModel } from '../fixtures.js';
import { useOnnx } from './engine.js';
import { useExports } from './fixtures.js';

/** A Python with `onnx` and `onnxruntime`: named by FACT_PYTHON, else `python3`. */
const python = process.env.FACT_PYTHON ?? 'python3';
const hasOnnx = spawnSync(python, ['-c', 'import numpy, onnx, onnxruntime']).status === 0;

const CHECK = `
import sys, numpy as np, onnx, onnxruntime
path = sys.argv[1]
model = onnx.load(path)
onnx.checker.check_model(model, full_check=True)
onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
assert {o.domain for o in model.opset_import} == {''} and model.opset_import[0].version == 17
session = onnxruntime.InferenceSession(path)
feeds = {}
for port in session.get_inputs():
    if port.name == 'image': feeds['image'] = np.linspace(0, 1, 2 * 3 * 32 * 32, dtype=np.float32).reshape(2, 3, 32, 32)
    elif port.name == 'photo': feeds['photo'] = np.arange(2 * 40 * 50 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 40, 50, 3)
    elif port.name == 'class_weights': feeds['class_weights'] = np.zeros((1, 5), np.float32)
    elif port.name == 'concepts': feeds['concepts'] = np.array([[-1, 7]], np.int32)
    else: feeds[port.name] = np.array(True)
results = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
print(max([results[k][..., 3].max() for k in results if k.startswith('ledger')], default=0.0))
`;

// Why skipped: the checker is a Python package; where it is not installed there is nothing to run it with.
describe.skipIf(!hasOnnx)('Python (FACT_PYTHON, or python3 with onnx and onnxruntime)', () => {
  useOnnx();
  const exports = useExports();
  const model = { current: undefined as ReturnType<typeof smallModel> | undefined };
  beforeAll(() => {
    model.current = smallModel({ norm: 'bn', normParameters: 'affine' });
  });
  afterAll(() => model.current?.dispose());

  it.each([
    ['an explanation', {}],
    ['logits', { kind: 'predict' }],
    ['features', { kind: 'features' }],
    ['photographs', { input: 'uint8' }],
    ['a fixed batch', { batch: 2 }],
    ['int8 weights', { weights: 'int8' }],
    ['f16 weights', { weights: 'f16' }],
  ] as const)('checks and runs a file with %s', (_name, options) => {
    if (model.current === undefined) throw new Error('no model');
    const [sae, early] = [randomSae(model.current, 'layer3', 256), randomSae(model.current, 'layer1', 32, 3)];
    const path = exports.write({ model: model.current, sae, early }, options);
    sae.dispose();
    early.dispose();
    expect(existsSync(path)).toBe(true);
    const { status, stdout, stderr } = spawnSync(python, ['-c', CHECK, path], { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    expect(Number(stdout)).toBeLessThanOrEqual(1e-5);
  });
});
