import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesOf, castHost } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { expertSpec } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { bytesChecksum, textChecksum } from '../checksum.js'
import type { Checksums } from '../checksum.js'
import { withPath, writeExactly } from '../files.js'
import type { Bits } from '../quantize.js'
import { quantizedTypesOf, readQuantizedTo } from '../weights.js'
import type { Weights } from '../weights.js'
import { indexName, indexText, pagesName, placeStacks } from './apart-index.js'
import type { ApartStack } from './apart-index.js'
import { expertStacks, nativeParts } from './source.js'
import type { ExpertPart, ExpertStack } from './source.js'

/** The form in which kernels are stored. */
export interface StoredForm {
  /** Default: as in the weights. */
  readonly dtype?: ParameterSpec['dtype']
  /** The bits that kernels are quantized to; null: none. */
  readonly bits: Bits | null
}

/** The stacks of experts of weights in the form in which they are to be written. */
const storedStacks = (weights: Weights, { dtype, bits }: StoredForm): ExpertStack[] =>
  expertStacks(
    weights.specs.map(spec => ({ ...spec, dtype: dtype ?? spec.dtype })),
    spec => nativeParts(spec, one => bits && quantizedTypesOf(weights, one, bits)),
  )

/**
 * Writes the experts of weights into a folder, `experts.bin` and `experts.json`. Memory holds two experts: one is
 * written while the next one is read. Returns the checksums for checkpoint.json.
 */
export async function writeApart(
  folder: string,
  weights: Weights,
  form: StoredForm,
): Promise<Readonly<Record<string, Checksums>>> {
  const specs = new Map(weights.specs.map(spec => [spec.path, spec]))
  const stacks: ApartStack[] = placeStacks(storedStacks(weights, form)).map(stack => ({ ...stack, checksums: [] }))
  const path = join(folder, pagesName)
  const handle = await withPath(path, () => open(path, 'wx'))
  let writing: Promise<void> = Promise.resolve()
  try {
    for (const stack of stacks)
      for (let expert = 0; expert < stack.numExperts; expert++) {
        const page = new Uint8Array(stack.stride)
        const checksums = await fillPage(page, stack, part =>
          readPart(weights, specs.get(part.parameter)!, expert, form),
        )
        stack.checksums.push(checksums)
        await writing
        writing = withPath(path, () => writeExactly(handle, page, stack.begin + expert * stack.stride))
        writing.catch(() => undefined) // thrown where it is awaited
      }
  } finally {
    await writing.catch(() => undefined)
    await handle.close()
  }
  await writing
  const text = indexText(stacks)
  await withPath(folder, () => writeFile(join(folder, indexName), text))
  return { [indexName]: { index: textChecksum(text) } }
}

/** Puts the parts of an expert into its page. Returns their checksums. `read` gives all tensors of a part's kernel. */
async function fillPage(
  page: Uint8Array,
  { parts }: ExpertStack,
  read: (part: ExpertPart) => Promise<KernelTensors>,
): Promise<string> {
  let checksums = ''
  let kernel: KernelTensors = {}
  for (const [i, part] of parts.entries()) {
    if (part.parameter !== parts[i - 1]?.parameter) kernel = await read(part)
    const bytes = bytesOf(kernel[part.kind]!)
    page.set(bytes, part.offset)
    checksums += bytesChecksum(bytes)
  }
  return checksums
}

/** The tensors of one expert's kernel, by the kinds of parts. */
type KernelTensors = { readonly [K in ExpertPart['kind']]?: HostTensor }

async function readPart(
  weights: Weights,
  spec: ParameterSpec,
  expert: number,
  { dtype, bits }: StoredForm,
): Promise<KernelTensors> {
  const isQuantized = bits && quantizedTypesOf(weights, expertSpec(spec), bits)
  const quantized = isQuantized && (await readQuantizedTo(weights, spec, bits, expert))
  if (quantized) return { ...quantized }
  return { kernel: castHost(await weights.readExpert(spec.path, expert), dtype ?? spec.dtype) }
}
