import { SwitchyardError } from '../../base/errors.js'
import { tensorFromBytes } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { unknownTensor, viewOf } from '../format.js'
import type { CheckpointReader, TensorInfo } from '../format.js'
import { readStack } from '../layout.js'
import { partBytes, tensorName } from './source.js'
import type { ExpertPart, ExpertSource } from './source.js'

/**
 * The tensors of a model whose experts are in a source, as one reader: `dense` has all other tensors. Each stack is a
 * tensor [experts, ...], which can be read part by part. Closing closes both.
 */
export function withExpertTensors(dense: CheckpointReader, source: ExpertSource): CheckpointReader {
  const places = new Map(
    source.stacks.flatMap((stack, index) => stack.parts.map(part => [tensorName(part), { index, part }] as const)),
  )
  const infos = Array.from(places, ([name, { index, part }]): TensorInfo => ({
    name,
    dtype: part.dtype,
    shape: [source.stacks[index].numExperts, ...part.shape],
  }))
  /** The page that was read last: its parts are often read one after the other. */
  let last: { key: string; page: Promise<Uint8Array<ArrayBuffer>> } | undefined
  const pageOf = (stack: number, expert: number): Promise<Uint8Array<ArrayBuffer>> => {
    const key = `${stack}/${expert}`
    if (last?.key !== key) {
      const page = new Uint8Array(source.stacks[stack].bytes)
      last = { key, page: source.read(stack, expert, page).then(() => page) }
    }
    return last.page
  }
  const readPart = async (name: string, expert: number): Promise<HostTensor> => {
    const place = places.get(name)
    if (!place) {
      if (dense.readPart) return dense.readPart(name, expert)
      throw unknownTensor(dense.path, name, places)
    }
    return cut(await pageOf(place.index, expert), place.part)
  }
  return {
    ...viewOf(dense, {
      list: () => [...dense.list(), ...infos],
      read: name => {
        const place = places.get(name)
        const { numExperts = 0 } = place ? source.stacks[place.index] : {}
        return place ? readStack(numExperts, expert => readPart(name, expert), false) : dense.read(name)
      },
      readPart,
      locate: dense.locate && (async name => (places.has(name) ? undefined : dense.locate!(name))),
    }),
    close: async () => {
      await dense.close()
      await source.close()
    },
  }
}

/** A copy of a part of a page. Throws a SwitchyardError if the part is stored transposed. */
function cut(page: Uint8Array<ArrayBuffer>, part: ExpertPart): HostTensor {
  if (part.isTransposed) throw new SwitchyardError(`${part.parameter} is stored as [out, in]`)
  return tensorFromBytes(part.dtype, part.shape, page.slice(part.offset, part.offset + partBytes(part)))
}
