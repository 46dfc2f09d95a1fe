import { type Graph, type NumericDType, ONNX_TYPE, type Shape, type Sym, sameShape } from '../graph.js';
import {
  attrsOf,
  broadcastShape,
  type Inputs,
  type Lowering,
  type LoweringTable,
  listOf,
} from './lowering.js';
import { pointwiseNode } from './views.js';

/**
 * Element-wise kernels. Each output element depends on the input elements at its own place only, so an eager call
 * on equal shapes may run on flattened arrays (see eager.ts).
 */

/** A constant whose elements are all equal costs least as a scalar. */
function asScalar(graph: Graph, sym: Sym): Sym {
  return sym.uniform === undefined ? sym : graph.scalarSym(sym.uniform, sym.dtype);
}

/** Whether combining with this constant changes nothing, in either order or (for - and /) as second operand. */
interface Neutral {
  readonly value: number;
  readonly commutes: boolean;
}

export function binary(op: string, outDtype?: NumericDType, neutral?: Neutral): Lowering {
  return (graph, { a, b }) => {
    const shape = broadcastShape(a.shape, b.shape);
    const dtype = outDtype ?? a.dtype;
    const [fullA, fullB] = [sameShape(a.shape, shape), sameShape(b.shape, shape)];
    if (neutral !== undefined && b.uniform === neutral.value && fullA) return a;
    if (neutral?.commutes && a.uniform === neutral.value && fullB) return b;
    const left = fullB ? asScalar(graph, a) : a;
    const right = fullA ? asScalar(graph, b) : b;
    return pointwiseNode(graph, op, [left, right], shape, dtype);
  };
}

/** A function of floats; other dtypes are converted first, as tfjs's own kernels do. */
function unary(op: string): Lowering {
  return (graph, { x }) => pointwiseNode(graph, op, [toFloat(graph, x)], x.shape, 'float32');
}

export function cast(graph: Graph, x: Sym, dtype: NumericDType): Sym {
  if (x.dtype === dtype) return x;
  return pointwiseNode(graph, 'Cast', [x], x.shape, dtype, { to: ONNX_TYPE[dtype] });
}

export function toFloat(graph: Graph, x: Sym): Sym {
  return cast(graph, x, 'float32');
}

export const add = binary('Add', undefined, { value: 0, commutes: true }) as (g: Graph, i: Inputs) => Sym;
export const sub = binary('Sub', undefined, { value: 0, commutes: false }) as (g: Graph, i: Inputs) => Sym;
export const mul = binary('Mul', undefined, { value: 1, commutes: true }) as (g: Graph, i: Inputs) => Sym;
const div = binary('Div', undefined, { value: 1, commutes: false }) as (g: Graph, i: Inputs) => Sym;
const compare = (op: string) => binary(op, 'bool') as (g: Graph, i: Inputs) => Sym;
const equal = compare('Equal');
const greater = compare('Greater');
const less = compare('Less');
const greaterEqual = compare('GreaterOrEqual');

export function realDiv(graph: Graph, a: Sym, b: Sym): Sym {
  return div(graph, { a: toFloat(graph, a), b: toFloat(graph, b) });
}

function where(graph: Graph, condition: Sym, yes: Sym, no: Sym, shape: Shape): Sym {
  return pointwiseNode(graph, 'Where', [condition, yes, no], shape, yes.dtype);
}

function not(graph: Graph, x: Sym): Sym {
  return pointwiseNode(graph, 'Not', [x], x.shape, 'bool');
}

/** x^2; a sum of it reads x itself, see reduce.ts. */
function square(graph: Graph, x: Sym): Sym {
  const product = mul(graph, { a: x, b: x });
  return x.dtype === 'float32' && x.uniform === undefined ? { ...product, square: x } : product;
}

function power(graph: Graph, { a, b }: Inputs): Sym {
  if (
    b.uniform !== undefined &&
    a.dtype === 'float32' &&
    sameShape(a.shape, broadcastShape(a.shape, b.shape))
  ) {
    if (b.uniform === 1) return a;
    if (b.uniform === 2) return square(graph, a);
    if (b.uniform === 0.5) return pointwiseNode(graph, 'Sqrt', [a], a.shape, 'float32');
    if (b.uniform === -1) return pointwiseNode(graph, 'Reciprocal', [a], a.shape, 'float32');
  }
  return binary('Pow')(graph, { a, b }, {}) as Sym;
}

/** floor(a / b); integers go through floats as in tfjs's cpu kernel, whose result keeps the dtype of a. */
function floorDiv(graph: Graph, { a, b }: Inputs): Sym {
  const quotient = realDiv(graph, a, b);
  return cast(graph, graph.node('Floor', [quotient], quotient.shape, 'float32'), a.dtype);
}

/** Remainder with the sign of the divisor: r = fmod(a, b) where the signs of a and b agree, else fmod(r + b, b). */
function mod(graph: Graph, { a, b }: Inputs): Sym {
  const shape = broadcastShape(a.shape, b.shape);
  const zero = graph.scalarSym(0, a.dtype);
  const remainder = graph.node('Mod', [a, b], shape, a.dtype, { fmod: 1 });
  const shifted = graph.node('Mod', [add(graph, { a: remainder, b }), b], shape, a.dtype, { fmod: 1 });
  const signA = less(graph, { a, b: zero });
  const signB = less(graph, { a: b, b: zero });
  const differ = graph.node('Xor', [signA, signB], shape, 'bool');
  return where(graph, differ, shifted, remainder, shape);
}

/** log(1 + x), exact for small x: log(u) x / (u - 1) with u = 1 + x rounded (Kahan). */
function log1p(graph: Graph, { x: input }: Inputs): Sym {
  const x = toFloat(graph, input);
  const one = graph.scalarSym(1);
  const u = add(graph, { a: x, b: one });
  const step = sub(graph, { a: u, b: one });
  const isInfinite = graph.node('IsInf', [x], x.shape, 'bool');
  const ratio = where(graph, isInfinite, one, div(graph, { a: x, b: step }), x.shape);
  const scaled = mul(graph, { a: graph.node('Log', [u], x.shape, 'float32'), b: ratio });
  return where(graph, equal(graph, { a: u, b: one }), x, scaled, x.shape);
}

/** exp(x) - 1, exact for small x: (u - 1) x / log(u) with u = exp(x) rounded (Kahan). */
function expm1(graph: Graph, { x: input }: Inputs): Sym {
  const x = toFloat(graph, input);
  const one = graph.scalarSym(1);
  const u = graph.node('Exp', [x], x.shape, 'float32');
  const plain = sub(graph, { a: u, b: one });
  const exact = mul(graph, {
    a: plain,
    b: div(graph, { a: x, b: graph.node('Log', [u], x.shape, 'float32') }),
  });
  const isSmall = less(graph, { a: graph.node('Abs', [x], x.shape, 'float32'), b: one });
  const chosen = where(graph, isSmall, exact, plain, x.shape);
  return where(graph, equal(graph, { a: u, b: one }), x, chosen, x.shape);
}

/** Angle of the point (b, a) in (-pi, pi]: atan(a / b), corrected where b < 0 and where both are 0. */
function atan2(graph: Graph, { a, b }: Inputs): Sym {
  const shape = broadcastShape(a.shape, b.shape);
  const zero = graph.scalarSym(0);
  const angle = graph.node('Atan', [div(graph, { a, b })], shape, 'float32');
  const upward = greaterEqual(graph, { a, b: zero });
  const turn = where(graph, upward, graph.scalarSym(Math.PI), graph.scalarSym(-Math.PI), upward.shape);
  const turned = add(graph, { a: angle, b: turn });
  const atLeft = where(graph, less(graph, { a: b, b: zero }), turned, angle, shape);
  const aIsZero = equal(graph, { a, b: zero });
  const bIsZero = equal(graph, { a: b, b: zero });
  const atOrigin = graph.node('And', [aIsZero, bIsZero], shape, 'bool');
  return where(graph, atOrigin, zero, atLeft, shape);
}

function isFiniteNumber(graph: Graph, { x }: Inputs): Sym {
  const isNan = graph.node('IsNaN', [x], x.shape, 'bool');
  const isInf = graph.node('IsInf', [x], x.shape, 'bool');
  return not(graph, graph.node('Or', [isNan, isInf], x.shape, 'bool'));
}

function clip(graph: Graph, x: Sym, least: number, most: number): Sym {
  return graph.node(
    'Clip',
    [x, graph.scalarSym(least, x.dtype), graph.scalarSym(most, x.dtype)],
    x.shape,
    x.dtype,
  );
}

/** 1 where x > 0, alpha elsewhere; NaN stays NaN only without a lowering, see the test. */
const step: Lowering = (graph, { x }, attrs) => {
  const { alpha } = attrsOf<{ alpha?: number }>(attrs);
  const positive = greater(graph, { a: toFloat(graph, x), b: graph.scalarSym(0) });
  if (!alpha) return cast(graph, positive, 'float32');
  return where(graph, positive, graph.scalarSym(1), graph.scalarSym(alpha), x.shape);
};

/** condition ? t : e; a condition of rank 1 chooses whole rows. */
function select(graph: Graph, { condition, t, e }: Inputs): Sym {
  const isRowChoice = condition.shape.length === 1 && t.shape.length > 1;
  const rows = [...condition.shape, ...t.shape.slice(1).map(() => 1)];
  const chooser = isRowChoice
    ? graph.node('Reshape', [condition, graph.ints(rows)], rows, 'bool')
    : condition;
  const keepsShape = sameShape(chooser.shape, t.shape);
  const yes = keepsShape ? asScalar(graph, t) : t;
  const no = keepsShape ? asScalar(graph, e) : e;
  return where(graph, chooser, yes, no, t.shape);
}

/** dy where y > 0, else dy (y + 1): the gradient of elu by its output. */
function eluGrad(graph: Graph, { dy, y }: Inputs): Sym {
  const slope = add(graph, { a: y, b: graph.scalarSym(1) });
  const positive = greater(graph, { a: y, b: graph.scalarSym(0) });
  return mul(graph, { a: dy, b: where(graph, positive, graph.scalarSym(1), slope, y.shape) });
}

const unaryOps = {
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
  Floor: 'Floor',
  Log: 'Log',
  Reciprocal: 'Reciprocal',
  Round: 'Round',
  Selu: 'Selu',
  Sigmoid: 'Sigmoid',
  Sin: 'Sin',
  Sinh: 'Sinh',
  Softplus: 'Softplus',
  Sqrt: 'Sqrt',
  Tan: 'Tan',
  Tanh: 'Tanh',
} as const;

/** Unary operations that keep integers as they are. */
const keepsDtype =
  (op: string): Lowering =>
  (graph, { x }) =>
    pointwiseNode(graph, op, [x], x.shape, x.dtype);

export const elementwise: LoweringTable = {
  ...Object.fromEntries(Object.entries(unaryOps).map(([kernel, op]) => [kernel, unary(op)])),
  Abs: keepsDtype('Abs'),
  Neg: keepsDtype('Neg'),
  Sign: keepsDtype('Sign'),
  Relu: (graph, { x }) =>
    x.dtype === 'float32'
      ? graph.node('Relu', [x], x.shape, x.dtype)
      : graph.node('Max', [x, graph.scalarSym(0, x.dtype)], x.shape, x.dtype),
  Relu6: (graph, { x }) => clip(graph, x, 0, 6),
  Add: add,
  Sub: (graph, { a, b }) => {
    const difference = sub(graph, { a, b });
    return a.uniform === 1 && sameShape(b.shape, difference.shape)
      ? { ...difference, oneMinus: b }
      : difference;
  },
  Multiply: mul,
  RealDiv: (graph, { a, b }) => realDiv(graph, a, b),
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Pow: power,
  FloorDiv: floorDiv,
  Mod: mod,
  Atan2: atan2,
  SquaredDifference: (graph, inputs) => {
    const difference = sub(graph, inputs);
    return mul(graph, { a: difference, b: difference });
  },
  AddN: (graph, inputs) => listOf(inputs).reduce((a, b) => add(graph, { a, b })),
  Square: (graph, { x }) => square(graph, x),
  Rsqrt: (graph, { x }) =>
    pointwiseNode(
      graph,
      'Reciprocal',
      [pointwiseNode(graph, 'Sqrt', [toFloat(graph, x)], x.shape, 'float32')],
      x.shape,
      'float32',
    ),
  Log1p: log1p,
  Expm1: expm1,
  Greater: greater,
  GreaterEqual: greaterEqual,
  Less: less,
  LessEqual: compare('LessOrEqual'),
  Equal: equal,
  NotEqual: (graph, inputs) => not(graph, equal(graph, inputs)),
  LogicalAnd: compare('And'),
  LogicalOr: compare('Or'),
  LogicalNot: (graph, { x }) => not(graph, x),
  IsNan: (graph, { x }) => graph.node('IsNaN', [x], x.shape, 'bool'),
  IsInf: (graph, { x }) => graph.node('IsInf', [x], x.shape, 'bool'),
  IsFinite: isFiniteNumber,
  Step: step,
  Select: select,
  Cast: (graph, { x }, attrs) => cast(graph, x, attrsOf<{ dtype: NumericDType }>(attrs).dtype),
  Identity: (_graph, { x }) => x,
  ClipByValue: (graph, { x }, attrs) => {
    const { clipValueMin, clipValueMax } = attrsOf<{ clipValueMin: number; clipValueMax: number }>(attrs);
    return clip(graph, x, clipValueMin, clipValueMax);
  },
  LeakyRelu: (graph, { x }, attrs) =>
    graph.node('LeakyRelu', [toFloat(graph, x)], x.shape, 'float32', {
      alpha: { float: attrsOf<{ alpha: number }>(attrs).alpha },
    }),
  Prelu: (graph, { x, alpha }) => graph.node('PRelu', [x, alpha], x.shape, x.dtype),
  EluGrad: eluGrad,
};

/** An activation fused into a convolution or matrix product. */
export function activate(
  graph: Graph,
  x: Sym,
  activation: string | undefined,
  options: { readonly alpha?: number; readonly weights?: Sym } = {},
): Sym {
  if (!activation || activation === 'linear') return x;
  if (activation === 'prelu' && options.weights)
    return elementwise.Prelu(graph, { x, alpha: options.weights }, {}) as Sym;
  const kernel = { relu: 'Relu', relu6: 'Relu6', elu: 'Elu', sigmoid: 'Sigmoid', leakyrelu: 'LeakyRelu' }[
    activation
  ];
  if (kernel === undefined) throw new Error(`unknown fused activation ${activation}`);
  return elementwise[kernel](graph, { x }, { alpha: options.alpha ?? 0.2 }) as Sym;
}
