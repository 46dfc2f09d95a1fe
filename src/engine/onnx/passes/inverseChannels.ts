/**
 * Channels [x, 1 - x] as [x, 1]: with weights [A, B] on the former,
 *     A x + B (1 - x) = (A - B) x + (sum of B) 1
 * so the layer that reads them has C + 1 channels instead of 2 C; the ones are zero in the padding, as 1 - x is. The
 * same holds for its transpose, once multiplied with the channels and summed: <[x, 1 - x], g> = <[x, 1], L^T g>. The
 * squares need no second half either: x^2 + (1 - x)^2 = 2 x (x - 1) + 1.
 */
import { type GraphConstant, type GraphParts, type Shape, sizeOf } from '../graph.js';
import { type LiveNode, Rewriter } from './rewriter.js';
import { type DerivedConstant, derivedConstant } from './weights.js';

const TO_CHANNELS_FIRST = [0, 3, 1, 2];

function isNumber(rewriter: Rewriter, name: string, value: number): boolean {
  const values = rewriter.floatsOf(name);
  return values?.length === 1 && values[0] === value;
}

function isTransposeTo(node: LiveNode, perm: readonly number[]): boolean {
  return node.op === 'Transpose' && String(node.attributes.perm) === String(perm);
}

/** x of `Concat(x, 1 - x)` along the last of four axes. */
function invertedImage(rewriter: Rewriter, node: LiveNode): string | undefined {
  const [x, inverse, ...more] = node.inputs;
  const isLast = node.attributes.axis === 3 && rewriter.shape(x)?.length === 4;
  if (node.op !== 'Concat' || more.length > 0 || !isLast) return undefined;
  const difference = rewriter.madeBy(inverse, 'Sub');
  if (difference === undefined || difference.inputs[1] !== x) return undefined;
  return isNumber(rewriter, difference.inputs[0], 1) ? x : undefined;
}

/** [A, B] along an axis as [A - B, sum of B]. */
function joined(base: GraphConstant, axis: number): { dims: Shape; data: Float32Array } {
  const data = base.data as Float32Array;
  const count = base.dims[axis] / 2;
  const inner = sizeOf(base.dims.slice(axis + 1));
  const outer = sizeOf(base.dims.slice(0, axis));
  const result = new Float32Array(outer * (count + 1) * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let total = 0;
      for (let c = 0; c < count; c++) {
        const at = (o * 2 * count + c) * inner + i;
        const inverse = data[at + count * inner];
        result[(o * (count + 1) + c) * inner + i] = data[at] - inverse;
        total += inverse;
      }
      result[(o * (count + 1) + count) * inner + i] = total;
    }
  }
  return { dims: base.dims.map((size, i) => (i === axis ? count + 1 : size)), data: result };
}

/** What reads the channels, where it can read [x, 1] instead. */
type Use = () => void;

class InverseChannels {
  private readonly weights = new Map<string, string>();

  constructor(
    private readonly rewriter: Rewriter,
    private readonly image: string,
    private readonly channels: string,
  ) {}

  private get size(): readonly [number, number, number, number] {
    return this.rewriter.shape(this.image) as unknown as readonly [number, number, number, number];
  }

  /** [N,C,H,W] of x. */
  private first(): string {
    return this.rewriter.transpose(this.image, TO_CHANNELS_FIRST);
  }

  /** [x, 1] as [N,C+1,H,W]. */
  private withOnes(): string {
    const [n, h, w, c] = this.size;
    const { rewriter } = this;
    const one = rewriter.floats([], Float32Array.of(1));
    const ones = rewriter.node('Expand', [one, rewriter.ints([n, 1, h, w])], [n, 1, h, w]);
    return rewriter.node('Concat', [this.first(), ones], [n, c + 1, h, w], { axis: 1 });
  }

  /** The weights with the channels' axis joined, laid out by the same steps as before; the axis of the stored one. */
  private joinedAxis(name: string, axis: number): { derived: DerivedConstant; along: number } | undefined {
    const derived = derivedConstant(this.rewriter, name);
    if (derived === undefined) return undefined;
    let along = axis;
    for (const node of derived.chain.toReversed()) {
      if (node.op === 'Reshape') return undefined;
      if (node.op === 'Transpose') along = (node.attributes.perm as readonly number[])[along];
      else if (this.rewriter.integersOf(node.inputs[3])?.includes(along)) return undefined;
    }
    return derived.base.dims[along] === 2 * this.size[3] ? { derived, along } : undefined;
  }

  private joinWeights({ derived, along }: { derived: DerivedConstant; along: number }): string {
    const key = `${derived.base.name} ${along}`;
    const known = this.weights.get(key);
    const { dims, data } = known === undefined ? joined(derived.base, along) : { dims: [], data: null };
    const stored = known ?? this.rewriter.floats(dims, data as Float32Array);
    this.weights.set(key, stored);
    return derived.chain.reduce((value, node) => {
      const shape = this.rewriter.shape(value) as Shape;
      const perm = node.attributes.perm as readonly number[] | undefined;
      const after = perm === undefined ? shape : perm.map((i) => shape[i]);
      return this.rewriter.node(node.op, [value, ...node.inputs.slice(1)], after, node.attributes);
    }, stored);
  }

  /** How a reader can do without 1 - x; undefined where it cannot. */
  use(reader: LiveNode): Use | undefined {
    if (isTransposeTo(reader, TO_CHANNELS_FIRST)) return this.convolutions(reader);
    if (reader.op !== 'Mul') return undefined;
    return reader.inputs[0] === reader.inputs[1] ? this.squares(reader) : this.map(reader);
  }

  private convolutions(transpose: LiveNode): Use | undefined {
    const { rewriter } = this;
    const [value] = transpose.outputs;
    const uses = rewriter.readers(value).map((conv): Use | undefined => {
      const fits = conv.op === 'Conv' && conv.attributes.group === 1 && conv.inputs[1] !== value;
      const weights = fits ? this.joinedAxis(conv.inputs[1], 1) : undefined;
      if (weights === undefined) return undefined;
      return () => {
        rewriter.setInput(conv, 1, this.joinWeights(weights));
        rewriter.setInput(conv, 0, this.withOnes());
      };
    });
    return together(uses);
  }

  /** Sum over the channels of a (x^2, (1 - x)^2): [1, 2C] times [N, 1, 2C, pixels]. */
  private squares(square: LiveNode): Use | undefined {
    const { rewriter } = this;
    const [n, h, w, c] = this.size;
    const transpose = onlyReader(rewriter, square);
    const flat = transpose && onlyReader(rewriter, transpose);
    const sum = flat && onlyReader(rewriter, flat);
    if (transpose === undefined || flat === undefined || sum === undefined) return undefined;
    const weights = rewriter.floatsOf(sum.inputs[0]);
    const fits =
      isTransposeTo(transpose, TO_CHANNELS_FIRST) &&
      flat.op === 'Reshape' &&
      String(rewriter.shape(flat.outputs[0])) === String([n, 1, 2 * c, h * w]) &&
      sum.op === 'MatMul' &&
      weights?.length === 2 * c &&
      weights.every((value) => value === weights[0]);
    if (!fits) return undefined;
    return () => {
      const x = this.first();
      const shape = [n, c, h, w];
      const less = rewriter.node('Sub', [x, rewriter.floats([], Float32Array.of(1))], shape);
      const product = rewriter.reshape(rewriter.node('Mul', [x, less], shape), [n, 1, c, h * w]);
      const twice = rewriter.floats([1, c], new Float32Array(c).fill(2 * weights[0]));
      const plane = rewriter.node('MatMul', [twice, product], [n, 1, 1, h * w]);
      const constant = rewriter.floats([], Float32Array.of(c * weights[0]));
      rewriter.replace(sum.outputs[0], rewriter.node('Add', [plane, constant], [n, 1, 1, h * w]));
    };
  }

  /** Sum over the channels of [x, 1 - x] times g, g the result of a (transposed) convolution. */
  private map(product: LiveNode): Use | undefined {
    const { rewriter } = this;
    const [n, h, w, c] = this.size;
    const sum = onlyReader(rewriter, product);
    const isSum =
      sum?.op === 'ReduceSum' &&
      String(rewriter.integersOf(sum.inputs[1])) === '3' &&
      sum.attributes.keepdims === 0;
    const transpose = rewriter.maker(product.inputs[product.inputs[0] === this.channels ? 1 : 0]);
    if (sum === undefined || !isSum || transpose === undefined) return undefined;
    const conv = isTransposeTo(transpose, [0, 2, 3, 1]) ? rewriter.maker(transpose.inputs[0]) : undefined;
    const isAlone = rewriter.readers(transpose.outputs[0]).length === 1;
    if (conv === undefined || !isAlone || conv.inputs.length !== 2 || conv.attributes.group !== 1)
      return undefined;
    if (rewriter.readers(conv.outputs[0]).length !== 1) return undefined;
    const axis = conv.op === 'ConvTranspose' ? 1 : conv.op === 'Conv' ? 0 : undefined;
    const weights = axis === undefined ? undefined : this.joinedAxis(conv.inputs[1], axis);
    if (weights === undefined) return undefined;
    return () => {
      const shape = [n, c + 1, h, w];
      const g = rewriter.node(conv.op, [conv.inputs[0], this.joinWeights(weights)], shape, conv.attributes);
      const terms = rewriter.reshape(rewriter.node('Mul', [this.withOnes(), g], shape), [n, c + 1, h * w]);
      const ones = rewriter.floats([1, c + 1], new Float32Array(c + 1).fill(1));
      const total = rewriter.node('MatMul', [ones, terms], [n, 1, h * w]);
      rewriter.replace(sum.outputs[0], rewriter.reshape(total, [n, h, w]));
    };
  }
}

/** The one node that reads a node's result. */
function onlyReader(rewriter: Rewriter, node: LiveNode): LiveNode | undefined {
  const readers = rewriter.readers(node.outputs[0]);
  return readers.length === 1 ? readers[0] : undefined;
}

function together(uses: readonly (Use | undefined)[]): Use | undefined {
  if (uses.length === 0 || uses.includes(undefined)) return undefined;
  return () => {
    for (const use of uses) use?.();
  };
}

/** See the top of the file. Readers that need 1 - x itself keep it. */
export function joinInverseChannels(parts: GraphParts): GraphParts {
  const rewriter = new Rewriter(parts, 'inverse');
  for (const node of [...rewriter.nodes]) {
    const image = invertedImage(rewriter, node);
    if (image === undefined) continue;
    const [channels] = node.outputs;
    const found = new InverseChannels(rewriter, image, channels);
    for (const reader of rewriter.readers(channels)) found.use(reader)?.();
  }
  return rewriter.parts();
}
