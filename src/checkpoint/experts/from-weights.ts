import { SwitchyardError } from '../../base/errors.js'
import { bytesOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { Bits } from '../quantize.js'
import { quantizedTypesOf, readQuantizedTo } from '../weights.js'
import type { Weights } from '../weights.js'
import { Reads } from './reads.js'
import { expertStacks, nativeParts, partBytes } from './source.js'
import type { ExpertPart, ExpertSource } from './source.js'

/**
 * The experts of weights as a source of pages: that of their own format, if it has one, or one that reads each part
 * with `readExpert` or `readQuantized` and copies it. The latter needs the weights to stay open, and does not close
 * them. `bits`: kernels in floating point are quantized each time they are read. Throws a SwitchyardError if the model
 * has no experts.
 */
export async function expertsOf(weights: Weights, bits: Bits | null = null): Promise<ExpertSource> {
  if (!weights.specs.some(({ role }) => role === 'expertKernel'))
    throw new SwitchyardError(`${weights.path}: this model is dense: it has no experts to read`)
  const isQuantizing = bits !== null && weights.bits === undefined
  return weights.experts && !isQuantizing ? weights.experts() : copyingSource(weights, bits)
}

function copyingSource(weights: Weights, bits: Bits | null): ExpertSource {
  const stacks = expertStacks(weights.specs, spec => nativeParts(spec, one => quantizedTypesOf(weights, one, bits)))
  const specs = new Map(weights.specs.map(spec => [spec.path, spec]))
  const reads = new Reads(weights.path, stacks)
  let disk = 0
  return {
    name: weights.path,
    stacks,
    read: (stack, expert, page, signal) =>
      reads.run({ stack, expert, page, signal }, async () => {
        const { parts } = stacks[stack]
        for (const parameter of new Set(parts.map(part => part.parameter))) {
          signal?.throwIfAborted()
          const tensors = await readKernel(weights, specs.get(parameter)!, bits, expert)
          for (const part of parts.filter(part => part.parameter === parameter)) {
            page.set(bytesOf(tensors[part.kind]!), part.offset)
            disk += partBytes(part)
          }
        }
      }),
    traffic: () => weights.remote?.expertTraffic() ?? { disk, network: 0 },
    close: () => reads.close(() => Promise.resolve()),
  }
}

async function readKernel(
  weights: Weights,
  spec: ParameterSpec,
  bits: Bits | null,
  expert: number,
): Promise<{ [K in ExpertPart['kind']]?: HostTensor }> {
  const quantized = await readQuantizedTo(weights, spec, bits, expert)
  return quantized ? { ...quantized } : { kernel: await weights.readExpert(spec.path, expert) }
}
