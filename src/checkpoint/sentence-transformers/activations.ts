import * as np from '../../engine/api/np.js'
import type { Tensor } from '../../engine/api/tensor.js'
import * as nn from '../../nn/activations.js'

/** Activation functions by PyTorch's class names, with its default arguments. */
export const torchActivations: ReadonlyMap<string, (x: Tensor) => Tensor> = new Map<string, (x: Tensor) => Tensor>([
  ['Identity', x => x],
  ['Tanh', x => np.tanh(x)],
  ['Sigmoid', x => np.sigmoid(x)],
  ['ReLU', x => nn.relu(x)],
  ['ReLU6', x => nn.relu6(x)],
  ['LeakyReLU', x => nn.leakyRelu(x)],
  ['ELU', x => nn.elu(x)],
  ['SELU', x => nn.selu(x)],
  ['CELU', x => nn.celu(x)],
  ['GELU', x => nn.gelu(x, { approximate: false })],
  ['SiLU', x => nn.silu(x)],
  ['Mish', x => nn.mish(x)],
  ['Softplus', x => nn.softplus(x)],
  ['Softsign', x => nn.softsign(x)],
  ['LogSigmoid', x => nn.logSigmoid(x)],
  ['Hardtanh', x => nn.hardTanh(x)],
  ['Hardsigmoid', x => nn.hardSigmoid(x)],
  ['Hardswish', x => nn.hardSwish(x)],
])
