/**
 * Constant factors of channels go into weights: the gain of a norm costs nothing, in a network and in its transpose.
 *
 * Backwards, into what makes the channels: z is homogeneous in the result s of a convolution, z(c s) = c^d z(s) with a
 * sign that counts or not. Then k z(s) = z(c s) with |c| = |k|^(1/d), and c goes into the filters; for a B-cos layer
 * z = s |s| r, so k z is the same layer with the filters sign(k) sqrt|k| w. Others that read s or |s| r (the
 * transpose of the layer) get a factor 1/c, which must find its way into weights too, else nothing is changed.
 *
 * Forwards, into what reads the channels: see scales.ts.
 */
import type { GraphParts } from '../graph.js';
import { axisAfterReshape } from './axes.js';
import { type LiveNode, Rewriter } from './rewriter.js';
import { constantProduct, planPush, type Scale } from './scales.js';
import { ScaledConstants } from './weights.js';

/** How a value follows a factor c of the root's channels: it becomes |c|^degree times itself, or with c's sign. */
interface Homogeneous {
  readonly degree: number;
  readonly isOdd: boolean;
  readonly axis: number;
}

interface Root {
  readonly node: LiveNode;
  readonly weightAxis: number;
}

/** The values between a product and the one convolution or matrix product that they are homogeneous in. */
class Region {
  readonly values = new Map<string, Homogeneous>();
  root: Root | undefined;
  isBroken = false;

  constructor(
    private readonly rewriter: Rewriter,
    private readonly constants: ScaledConstants,
  ) {}

  /** Follows a value back; undefined where it does not depend on a root's channels along this axis. */
  explore(name: string, axis: number): Homogeneous | undefined {
    const known = this.values.get(name);
    if (known !== undefined) return known;
    const node = this.rewriter.maker(name);
    const shape = this.rewriter.shape(name);
    if (node === undefined || shape === undefined || shape[axis] === 1) return undefined;
    const found = this.rule(node, axis);
    if (found !== undefined) this.values.set(name, found);
    return found;
  }

  private rule(node: LiveNode, axis: number): Homogeneous | undefined {
    const { op, inputs } = node;
    if (op === 'Abs') {
      const inner = this.explore(inputs[0], axis);
      return inner && { ...inner, isOdd: false };
    }
    if (op === 'Neg') return this.explore(inputs[0], axis);
    if (op === 'AveragePool') return axis === 1 ? this.explore(inputs[0], axis) : undefined;
    if (op === 'Transpose') {
      const inner = this.explore(inputs[0], (node.attributes.perm as readonly number[])[axis]);
      return inner && { ...inner, axis };
    }
    if (op === 'Reshape') return this.reshaped(node, axis);
    if (op === 'Mul') return this.product(node, axis);
    return this.asRoot(node, axis);
  }

  private reshaped(node: LiveNode, axis: number): Homogeneous | undefined {
    const [before, after] = [this.rewriter.shape(node.inputs[0]), this.rewriter.shape(node.outputs[0])];
    const moved = before && after && axisAfterReshape(after, axis, before);
    const inner = moved === undefined ? undefined : this.explore(node.inputs[0], moved);
    return inner && { ...inner, axis };
  }

  private product(node: LiveNode, axis: number): Homogeneous | undefined {
    const rank = this.rewriter.shape(node.outputs[0])?.length ?? 0;
    const [a, b] = node.inputs.map((name) => {
      const own = axis - rank + (this.rewriter.shape(name)?.length ?? 0);
      return own < 0 ? undefined : this.explore(name, own);
    });
    if (a === undefined || b === undefined) return (a ?? b) && { ...(a ?? (b as Homogeneous)), axis };
    return { degree: a.degree + b.degree, isOdd: a.isOdd !== b.isOdd, axis };
  }

  private asRoot(node: LiveNode, axis: number): Homogeneous | undefined {
    const weightAxis = this.outputAxisOfWeights(node, axis);
    if (weightAxis === undefined || !this.constants.canScale(node.inputs[1], weightAxis)) return undefined;
    if (this.root !== undefined && this.root.node !== node) this.isBroken = true;
    this.root = { node, weightAxis };
    return { degree: 1, isOdd: true, axis };
  }

  /** The axis of a node's weights that its output channels lie along. */
  private outputAxisOfWeights(
    { op, inputs, attributes, outputs }: LiveNode,
    axis: number,
  ): number | undefined {
    if (inputs.length !== 2) return undefined;
    if (op === 'Conv' && axis === 1) return 0;
    if (op === 'ConvTranspose' && axis === 1 && attributes.group === 1) return 1;
    const rank = this.rewriter.shape(outputs[0])?.length ?? 0;
    const isMatrix = this.rewriter.shape(inputs[1])?.length === 2;
    return op === 'MatMul' && isMatrix && axis === rank - 1 ? 1 : undefined;
  }
}

/**
 * Takes the constant factor of a product into the filters behind it; `isCurved` chooses products of a degree above 1,
 * or those of degree 1. Returns whether it did.
 */
function pull(
  rewriter: Rewriter,
  constants: ScaledConstants,
  order: readonly LiveNode[],
  node: LiveNode,
  isCurved: boolean,
): boolean {
  const product = rewriter.isUsed(node) ? constantProduct(rewriter, node) : undefined;
  if (product === undefined || product.scale.axis === null) return false;
  const region = new Region(rewriter, constants);
  const top = region.explore(product.x, product.scale.axis);
  const { root } = region;
  if (top === undefined || root === undefined || region.isBroken) return false;
  if (top.degree > 1 !== isCurved) return false;
  const k = product.scale.factor;
  if (!top.isOdd && k.some((value) => value < 0)) return false;
  const c = k.map((value) => Math.sign(value) * Math.abs(value) ** (1 / top.degree));
  const own = new Set([...region.values.keys()].map((name) => rewriter.maker(name)));
  // Readers outside must see what they saw: through an alias that carries the inverse factor.
  const starts = new Map<string, Scale>();
  const aliases: [alias: string, name: string, readers: LiveNode[]][] = [];
  for (const [name, { degree, isOdd, axis }] of region.values) {
    const outside = rewriter.readers(name).filter((reader) => !own.has(reader) && reader !== node);
    if (outside.length === 0) continue;
    const factor = c.map((value) => (isOdd ? Math.sign(value) : 1) * Math.abs(value) ** -degree);
    const alias = rewriter.node('Identity', [name], rewriter.shape(name) ?? []);
    starts.set(alias, { axis, factor });
    aliases.push([alias, name, outside]);
  }
  const isPossible = [...starts.values()].every(({ factor }) => factor.every(Number.isFinite));
  for (const [alias, name, readers] of aliases) rewriter.replace(name, alias, readers);
  const plan = isPossible ? planPush(rewriter, constants, order, starts, new Set([...own, node])) : undefined;
  const isWorth = plan?.cost === 0;
  if (isWorth) {
    plan.apply();
    rewriter.setInput(root.node, 1, constants.scale(root.node.inputs[1], root.weightAxis, c));
    rewriter.replace(node.outputs[0], product.x);
  }
  for (const [alias, name] of aliases) rewriter.replace(alias, name);
  return isWorth;
}

/** Takes the constant factor of a product into whatever reads it. Returns whether that saves multiplications. */
function push(
  rewriter: Rewriter,
  constants: ScaledConstants,
  order: readonly LiveNode[],
  node: LiveNode,
  isSingle: boolean,
): boolean {
  const product = rewriter.isUsed(node) ? constantProduct(rewriter, node) : undefined;
  if (product === undefined || (product.scale.axis === null) !== isSingle) return false;
  const [output] = node.outputs;
  const plan = planPush(rewriter, constants, order, new Map([[output, product.scale]]));
  const size = (rewriter.shape(output) ?? []).reduce((count, dimension) => count * dimension, 1);
  if (plan.cost >= size) return false;
  plan.apply();
  rewriter.replace(output, product.x);
  return true;
}

/**
 * See the top of the file. The order keeps the weights of a layer and of its transpose the same constant: what the
 * layer needs first, then what its transpose can take in, and single numbers last.
 */
export function foldChannelFactors(parts: GraphParts): GraphParts {
  const rewriter = new Rewriter(parts, 'factor');
  const constants = new ScaledConstants(rewriter);
  const order = [...rewriter.nodes];
  for (const node of order) pull(rewriter, constants, order, node, true);
  for (const node of order) push(rewriter, constants, order, node, false);
  for (const node of order) pull(rewriter, constants, order, node, false);
  for (const node of order) push(rewriter, constants, order, node, true);
  return rewriter.parts();
}
