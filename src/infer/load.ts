import { SwitchyardError } from '../base/errors.js'
import { treeFromPaths } from '../base/pytree.js'
import { castHost, sizeOf } from '../base/host-tensor.js'
import { quantizedShapes } from '../checkpoint/quantize.js'
import type { Bits } from '../checkpoint/quantize.js'
import { readInBits } from '../checkpoint/weights.js'
import type { Weights } from '../checkpoint/weights.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { ModelParams } from '../model/types.js'

/**
 * A model's weights as answering reads them, loaded parameter by parameter: besides them there is
 * never more than one. With `bits` kernels are quantized as they come.
 */
export async function loadServed(weights: Weights, bits: Bits | null = null): Promise<ModelParams> {
  if (bits && weights.bits && bits !== weights.bits)
    throw new SwitchyardError(
      `${weights.path}: its weights have ${weights.bits} bits already, and cannot be given ${bits}`,
    )
  const entries: [string, Tensor][] = []
  for (const spec of weights.specs) {
    const { path } = spec
    const quantized = await readInBits(weights, spec, bits)
    if (quantized)
      entries.push([`${path}/values`, fromHost(quantized.values)], [`${path}/scales`, fromHost(quantized.scales)])
    else entries.push([path, fromHost(castHost(await weights.read(path), 'float32'))])
  }
  return treeFromPaths(entries) as unknown as ModelParams
}

/**
 * The memory that answering takes at most, in bytes, which is when it begins: the weights, ONNX Runtime's copy of them, and what it packs
 * of that for products. (Afterwards what is packed is left.)
 */
export function servedBytes(
  { specs, bits: stored }: Pick<Weights, 'specs' | 'bits'>,
  bits: Bits | null = stored ?? null,
): number {
  const bytes = specs.map((spec): number => {
    const types = bits && quantizedShapes(spec, bits)
    return types ? sizeOf(types.values) + 4 * sizeOf(types.scales) : 4 * sizeOf(spec.shape)
  })
  const sum = bytes.reduce((a, b) => a + b, 0)
  // Before, a parameter that is read comes in parts, is put together and cast.
  return sum + Math.max(2 * sum, ...specs.map(spec => 8 * sizeOf(spec.shape)))
}
