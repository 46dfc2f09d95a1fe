/*
 * A tfjs LayersModel as a part in explanation mode. Layers that add something no input explains hand it over as a named
 * constant (parts.ts); the logit layer divides by the temperature and leaves its bias out, because a ledger is formed
 * before the bias is added: near -6.9 float32 loses the digits of a small score.
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { AllNorm2d } from '../layers/allNorm2d.js';
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import { BcosifiedConv2d } from '../layers/bcosifiedConv2d.js';
import { BcosifiedLinear } from '../layers/bcosifiedLinear.js';
import { Conv2d } from '../layers/conv2d.js';
import { Linear } from '../layers/linear.js';
import { LogitLayer } from '../layers/logitLayer.js';
import { Norm } from '../layers/norm.js';
import { type NetworkPart, withGain } from './parts.js';

/** What a layer adds to its output in evaluation mode, a function of its input; null where nothing. */
type Addend = (x: tf.Tensor) => tf.Tensor;

function weightOf(layer: tf.layers.Layer, parameter: string): tf.Tensor | null {
  const found = layer.weights.find((weight) => weight.originalName.endsWith(`/${parameter}`));
  return found === undefined ? null : found.read();
}

/** y = (x - mean) / sqrt(var + eps) * weight + bias with running statistics adds bias - mean * weight / sqrt(...). */
function normAddend(layer: Norm): Addend | null {
  const bias = layer.hasBias ? weightOf(layer, 'bias') : null;
  const mean =
    (layer instanceof BatchNorm2d || layer instanceof AllNorm2d) && layer.tracksRunningStats
      ? weightOf(layer, 'running_mean')
      : null;
  if (mean === null) return bias === null ? null : () => bias;
  return () => {
    const variance = weightOf(layer, 'running_var');
    if (variance === null) throw new Error(`${layer.name} has a running mean without a variance`);
    const gain = tf.rsqrt(tf.add(variance, layer.epsilon));
    const weight = weightOf(layer, 'weight');
    const shift = tf.neg(tf.mul(mean, weight === null ? gain : tf.mul(gain, weight)));
    return bias === null ? shift : tf.add(shift, bias);
  };
}

function addendOf(layer: tf.layers.Layer): Addend | null {
  if (layer instanceof Norm) return normAddend(layer);
  if ((layer instanceof BcosifiedConv2d || layer instanceof BcosifiedLinear) && layer.hasBias) {
    const bias = weightOf(layer, 'linear.bias');
    return bias === null ? null : () => bias;
  }
  if ((layer instanceof Linear || layer instanceof Conv2d) && layer.hasBias) {
    const bias = weightOf(layer, 'bias');
    return bias === null ? null : () => bias;
  }
  if (layer.getClassName() === 'PosEmbSinCos2d') {
    return (x) => layer.call(tf.zerosLike(x), {}) as tf.Tensor;
  }
  return null;
}

/** Runs one layer in explanation mode. */
function callLayer(layer: tf.layers.Layer, inputs: tf.Tensor[]): tf.Tensor {
  if (layer instanceof LogitLayer) {
    return layer.temperature === null ? tf.clone(inputs[0]) : tf.div(inputs[0], layer.temperature);
  }
  return layer.call(inputs.length === 1 ? inputs[0] : inputs, { explain: true }) as tf.Tensor;
}

/** The layers of a functional model in an order in which they can run, each with its symbolic output. */
function layerOrder(model: tf.LayersModel): tf.SymbolicTensor[] {
  const order: tf.SymbolicTensor[] = [];
  const seen = new Set(model.inputs.map((input) => input.id));
  const visit = (tensor: tf.SymbolicTensor): void => {
    if (seen.has(tensor.id)) return;
    seen.add(tensor.id);
    for (const input of tensor.inputs) visit(input);
    order.push(tensor);
  };
  visit(model.outputs[0]);
  return order;
}

/**
 * A functional model with one input and one output as a part. The logit bias is left out, see the top of the file.
 * Throws FactError E_EXPLAIN_MODEL for models of another form.
 */
export function networkPart(model: tf.LayersModel): NetworkPart {
  if (model.inputs.length !== 1 || model.outputs.length !== 1) {
    throw new FactError({
      code: 'E_EXPLAIN_MODEL',
      message: `${model.name}: ${model.inputs.length} inputs and ${model.outputs.length} outputs, expected one each`,
      remedy: 'Explain networks that map one image to one vector of logits.',
    });
  }
  const order = layerOrder(model);
  const addends = order.map((tensor) => addendOf(tensor.sourceLayer));
  const inputId = model.inputs[0].id;
  return {
    constants: order.filter((_, i) => addends[i] !== null).map((tensor) => tensor.sourceLayer.name),
    run: (x, gains) => {
      const values = new Map<number, tf.Tensor>([[inputId, x]]);
      const outputOf = (tensor: tf.SymbolicTensor): tf.Tensor => {
        const value = values.get(tensor.id);
        if (value === undefined) throw new Error(`${model.name}: ${tensor.name} is not computed yet`);
        return value;
      };
      let used = 0;
      order.forEach((tensor, i) => {
        const inputs = tensor.inputs.map(outputOf);
        const y = callLayer(tensor.sourceLayer, inputs);
        const addend = addends[i];
        values.set(tensor.id, addend === null ? y : withGain(y, addend(inputs[0]), gains[used++]));
      });
      return outputOf(model.outputs[0]);
    },
  };
}
