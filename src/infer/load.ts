import { SwitchyardError } from '../base/errors.js'
import { treeFromPaths } from '../base/pytree.js'
import { castHost, sizeOf } from '../base/tensor.js'
import { quantizedTypes } from '../checkpoint/quantize.js'
import type { Bits } from '../checkpoint/quantize.js'
import { readInBits } from '../checkpoint/weights.js'
import type { Weights } from '../checkpoint/weights.js'
import { fromHost } from '../engine/api/array.js'
import type { Array } from '../engine/api/array.js'
import type { ParameterSpec } from '../model/parameters.js'
import type { ModelParams } from '../model/types.js'

/**
 * A model's weights as answering reads them, loaded parameter by parameter: besides them there is
 * never more than one. With `bits` kernels are quantized as they come.
 */
export async function loadServed(weights: Weights, bits: Bits | null = null): Promise<ModelParams> {
  if (bits && weights.bits && bits !== weights.bits) throw new SwitchyardError(`${weights.path}: its weights have ${weights.bits} bits already, and cannot be given ${bits}`)
  const entries: [string, Array][] = []
  for (const spec of weights.specs) {
    const { path } = spec
    const quantized = await readInBits(weights, spec, bits)
    if (quantized) entries.push([`${path}/values`, fromHost(quantized.values)], [`${path}/scales`, fromHost(quantized.scales)])
    else entries.push([path, fromHost(castHost(await weights.read(path), 'float32'))])
  }
  return treeFromPaths(entries) as unknown as ModelParams
}

/**
 * The memory that answering takes at most, in bytes, which is when it begins: the weights, as ONNX Runtime packs them for products too, and
 * the copy of one stack's that it makes for that (first the encoder's, then the decoder's: see `CompiledDecoding.prepare`).
 */
export function servedBytes({ specs, bits: stored }: Pick<Weights, 'specs' | 'bits'>, bits: Bits | null = stored ?? null): number {
  const bytes = (spec: ParameterSpec): number => {
    const types = bits && quantizedTypes(spec, bits)
    return types ? sizeOf(types.values) + 4 * sizeOf(types.scales) : 4 * sizeOf(spec.shape)
  }
  const sum = (of: readonly ParameterSpec[]): number => of.reduce((total, spec) => total + bytes(spec), 0)
  const inEncoder = (spec: ParameterSpec): boolean => spec.path.startsWith('encoder/')
  const packing = sum(specs) + Math.max(sum(specs.filter(inEncoder)), sum(specs.filter(spec => !inEncoder(spec))))
  // Before, a parameter that is read comes in parts, is put together and cast.
  return sum(specs) + Math.max(packing, ...specs.map(spec => 8 * sizeOf(spec.shape)))
}
