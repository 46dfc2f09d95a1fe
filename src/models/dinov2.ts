/**
 * DINOv2 vision transformers (Oquab et al. 2023) with the names of the published weights: a class token, learned
 * positions resampled to the grid, pre-norm encoders with LayerScale and GELU, biases everywhere. Extracts features; the
 * output is the normalised class token, the tap `norm` has all tokens.
 */
import { Attention } from '../layers/attention.js';
import { Conv2d } from '../layers/conv2d.js';
import { DetachableLayerNorm } from '../layers/detachableLayerNorm.js';
import { FirstToken } from '../layers/firstToken.js';
import { Gelu } from '../layers/gelu.js';
import { LayerScale } from '../layers/layerScale.js';
import { Linear } from '../layers/linear.js';
import { TokenEmbedding } from '../layers/tokenEmbedding.js';
import { type Architecture, chain, LayerList, straight, sumOf, type Wiring } from './architecture.js';
import { normalisedInput } from './ends.js';
import type { FamilyOptions } from './options.js';

type Options = FamilyOptions<'dinov2'>;

const NORM_EPSILON = 1e-6;

class Parts {
  constructor(
    private readonly list: LayerList,
    private readonly seed: number,
  ) {}

  norm(name: string): Wiring {
    return this.list.add(new DetachableLayerNorm({ name, epsilon: NORM_EPSILON }));
  }

  linear(name: string, outFeatures: number): Wiring {
    return this.list.add(new Linear({ name, outFeatures, initial: 'normal-0.02', seed: this.seed }));
  }

  scale(name: string): Wiring {
    return this.list.add(new LayerScale({ name, parameter: 'gamma', initial: 1 }));
  }
}

/** x + scaled attention(x), then the same with the feed-forward part. */
function encoder(list: LayerList, path: string, o: Options, seed: number): Wiring {
  const parts = new Parts(list, seed);
  const attention = chain(
    parts.norm(`${path}.norm1`),
    parts.linear(`${path}.attn.qkv`, 3 * o.width),
    list.add(new Attention({ name: `${path}.attn.attention`, heads: o.heads })),
    parts.linear(`${path}.attn.proj`, o.width),
    parts.scale(`${path}.ls1`),
  );
  const feedForward = chain(
    parts.norm(`${path}.norm2`),
    parts.linear(`${path}.mlp.fc1`, o.mlpDim),
    list.add(new Gelu({ name: `${path}.mlp.act` })),
    parts.linear(`${path}.mlp.fc2`, o.width),
    parts.scale(`${path}.ls2`),
  );
  return chain(
    sumOf(`${path}.add_attn`, attention, straight),
    sumOf(`${path}.add_mlp`, feedForward, straight),
  );
}

/** Describes a DINOv2 ViT; `seed` of its initial weights, `initialise` false leaves them zero. */
export function dinov2(o: Options, seed: number, initialise: boolean): Architecture {
  const list = new LayerList(initialise);
  const { patch } = o;
  const stages = [
    normalisedInput(list),
    list.stage('embeddings', () => {
      // Weights without a module path come first in PyTorch's state dict.
      const tokens = list.add(new TokenEmbedding({ name: 'tokens', grid: o.grid, seed }));
      const shape = { outChannels: o.width, kernel: patch, stride: patch };
      const conv = new Conv2d({ name: 'patch_embed.proj', ...shape, initial: 'uniform-fan-in', seed });
      return chain(list.add(conv), tokens);
    }),
  ];
  const taps: string[] = [];
  for (let i = 0; i < o.depth; i++) {
    const name = `blocks.${i}`;
    stages.push(list.stage(name, () => encoder(list, name, o, seed)));
    taps.push(name);
  }
  stages.push(
    list.stage('norm', () => new Parts(list, seed).norm('norm')),
    list.stage('logits', () => list.add(new FirstToken({ name: 'class_token' }))),
  );
  return { stages, taps: [...taps, 'norm'], head: null };
}
