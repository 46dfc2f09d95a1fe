/** Arithmetic, comparisons and activations: one operation of TensorFlow each, under its own name or another. */
import type * as tf from '@tensorflow/tfjs';
import { DTYPES, type TensorflowBackend } from '../backend.js';
import { float, int, type } from '../binding.js';
import { type Info, type Kernel, type KernelTable, listOf } from './kernel.js';

/** tfjs's name of a kernel of one tensor to TensorFlow's. */
const UNARY: Readonly<Record<string, string>> = {
  Abs: 'Abs',
  Acos: 'Acos',
  Acosh: 'Acosh',
  Asin: 'Asin',
  Asinh: 'Asinh',
  Atan: 'Atan',
  Atanh: 'Atanh',
  Ceil: 'Ceil',
  Cos: 'Cos',
  Cosh: 'Cosh',
  Elu: 'Elu',
  Erf: 'Erf',
  Exp: 'Exp',
  Expm1: 'Expm1',
  Floor: 'Floor',
  IsFinite: 'IsFinite',
  IsInf: 'IsInf',
  IsNan: 'IsNan',
  Log: 'Log',
  Log1p: 'Log1p',
  LogicalNot: 'LogicalNot',
  Neg: 'Neg',
  Relu: 'Relu',
  Relu6: 'Relu6',
  Round: 'Round',
  Selu: 'Selu',
  Sigmoid: 'Sigmoid',
  Sign: 'Sign',
  Sin: 'Sin',
  Sinh: 'Sinh',
  Softplus: 'Softplus',
  Sqrt: 'Sqrt',
  Square: 'Square',
  Tan: 'Tan',
  Tanh: 'Tanh',
  ZerosLike: 'ZerosLike',
  OnesLike: 'OnesLike',
};

/** Functions that TensorFlow has for floating-point numbers only: whole numbers are converted, as tfjs's cpu does. */
const FLOAT_ONLY = new Set(
  'Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Exp Expm1 Floor IsFinite IsInf IsNan Log Log1p Selu Sigmoid Sin Sinh Softplus Sqrt Tan Tanh'.split(
    ' ',
  ),
);

const BINARY: Readonly<Record<string, string>> = {
  Add: 'AddV2',
  Atan2: 'Atan2',
  BitwiseAnd: 'BitwiseAnd',
  Equal: 'Equal',
  FloorDiv: 'FloorDiv',
  Greater: 'Greater',
  GreaterEqual: 'GreaterEqual',
  Less: 'Less',
  LessEqual: 'LessEqual',
  LogicalAnd: 'LogicalAnd',
  LogicalOr: 'LogicalOr',
  Maximum: 'Maximum',
  Minimum: 'Minimum',
  Mod: 'FloorMod',
  Multiply: 'Mul',
  NotEqual: 'NotEqual',
  Pow: 'Pow',
  RealDiv: 'RealDiv',
  SquaredDifference: 'SquaredDifference',
  Sub: 'Sub',
};

/** Operations that take bool tensors as they are; the others get whole numbers. */
const TAKES_BOOL = new Set(['Equal', 'NotEqual', 'LogicalAnd', 'LogicalOr']);

/** The same numbers in another dtype; shared where it is the same. */
export function cast(backend: TensorflowBackend, x: Info, dtype: tf.DataType): Info {
  if (x.dtype === dtype) return backend.share(x);
  const target = DTYPES[dtype];
  if (target === undefined)
    throw new Error(`Cast from ${x.dtype} to ${dtype} is not supported on this engine`);
  return backend.run('Cast', [x], { DstT: type(target) });
}

function unary(name: string): Kernel {
  const op = UNARY[name];
  const floatOnly = FLOAT_ONLY.has(name);
  return (backend, { x }) => {
    if (!floatOnly || x.dtype === 'float32') return backend.run(op, [x]);
    return backend.scoped(() => backend.run(op, [cast(backend, x, 'float32')]));
  };
}

function binary(name: string): Kernel {
  const op = BINARY[name];
  return (backend, { a, b }) => {
    const wanted =
      name === 'RealDiv' || name === 'Atan2'
        ? 'float32'
        : a.dtype === 'bool' && !TAKES_BOOL.has(name)
          ? 'int32'
          : a.dtype;
    if (a.dtype === wanted && b.dtype === wanted) return backend.run(op, [a, b]);
    return backend.scoped(() => {
      const operands = [a, b].map((t) =>
        t.dtype === wanted ? t : backend.run('Cast', [t], { DstT: type(DTYPES[wanted] ?? 0) }),
      );
      return backend.run(op, operands);
    });
  };
}

/** 1 above zero, `alpha` at and below it, NaN where x is NaN. */
const step: Kernel<{ alpha: number }> = (backend, { x }, { alpha }) =>
  backend.scoped(() => {
    const isAbove = backend.run('Greater', [x, backend.scalar(0)]);
    const values = backend.run('SelectV2', [isAbove, backend.scalar(1), backend.scalar(alpha)]);
    return backend.run('SelectV2', [backend.run('IsNan', [x]), x, values]);
  });

/** x where it is not negative, alpha x elsewhere. */
const prelu: Kernel = (backend, { x, alpha }) =>
  backend.scoped(() => {
    const isBelow = backend.run('Less', [x, backend.scalar(0)]);
    return backend.run('SelectV2', [isBelow, backend.run('Mul', [alpha, x]), x]);
  });

const clip: Kernel<{ clipValueMin: number; clipValueMax: number }> = (backend, { x }, attrs) => {
  const dtype = x.dtype === 'int32' ? 'int32' : 'float32';
  const { clipValueMin, clipValueMax } = attrs;
  return backend.run('ClipByValue', [
    x,
    backend.scalar(clipValueMin, dtype),
    backend.scalar(clipValueMax, dtype),
  ]);
};

/** 1 / x, rounded once: TensorFlow's own Reciprocal is an approximation, three times as far off at worst. */
const reciprocal: Kernel = (backend, { x }) => {
  if (x.dtype === 'float32') return backend.run('RealDiv', [backend.scalar(1), x]);
  return backend.scoped(() => backend.run('RealDiv', [backend.scalar(1), cast(backend, x, 'float32')]));
};

/** 1 / sqrt(x) by two operations that round correctly, in place of the approximation Rsqrt: a norm scales all by it. */
const reciprocalRoot: Kernel = (backend, { x }) =>
  backend.scoped(() => {
    const root = backend.run('Sqrt', [x.dtype === 'float32' ? x : cast(backend, x, 'float32')]);
    return backend.run('RealDiv', [backend.scalar(1), root]);
  });

export const ELEMENTWISE: KernelTable = {
  ...Object.fromEntries(Object.keys(UNARY).map((name) => [name, unary(name)])),
  ...Object.fromEntries(Object.keys(BINARY).map((name) => [name, binary(name)])),
  AddN: (backend, inputs) => {
    const list = listOf(inputs);
    return backend.run('AddN', list, { N: int(list.length), T: type(DTYPES[list[0].dtype] ?? 0) });
  },
  Cast: ((backend, { x }, { dtype }) => {
    if (dtype === 'bool' && x.dtype !== 'bool')
      return backend.run('NotEqual', [x, backend.scalar(0, x.dtype === 'int32' ? 'int32' : 'float32')]);
    return cast(backend, x, dtype);
  }) as Kernel<{ dtype: tf.DataType }>,
  ClipByValue: clip,
  EluGrad: (backend, { dy, y }) => backend.run('EluGrad', [dy, y]),
  Identity: (backend, { x }) => backend.share(x),
  LeakyRelu: ((backend, { x }, { alpha }) =>
    backend.run('LeakyRelu', [x], { alpha: float(alpha) })) as Kernel<{ alpha: number }>,
  Prelu: prelu,
  Reciprocal: reciprocal,
  Rsqrt: reciprocalRoot,
  Select: (backend, { condition, t, e }) => backend.run('Select', [condition, t, e]),
  Softmax: (backend, { logits }) => backend.run('Softmax', [logits]),
  Step: step,
};
