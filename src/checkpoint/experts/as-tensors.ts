import { SwitchyardError } from '../../base/errors.js'
import { lastPromise } from '../../base/promise-cache.js'
import { tensorFromBytes } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { unknownTensor, viewOf } from '../format.js'
import type { CheckpointReader, StoredBytes, TensorInfo } from '../format.js'
import { readStack } from '../layout.js'
import { partBytes, tensorName } from './source.js'
import type { ExpertPart, ExpertSource, ExpertStack } from './source.js'

/** Experts that can be read part by part. */
export interface ExpertParts<S extends ExpertStack = ExpertStack> {
  readonly stacks: readonly S[]
  /** Reads the part at index `part` of a stack's `parts`. */
  read(stack: S, part: number, expert: number): Promise<HostTensor>
  /** Where that part is, if it is in a file on disk. */
  locate?(stack: S, part: number, expert: number): StoredBytes | undefined
  close(): Promise<void>
}

/**
 * The tensors of a model whose experts lie elsewhere, as one reader: `dense` has all other tensors. Each stack is a
 * tensor [experts, ...], which can be read part by part. Closing closes both.
 */
export function withExpertTensors<S extends ExpertStack>(
  dense: CheckpointReader,
  experts: ExpertParts<S>,
): CheckpointReader {
  const places = new Map(
    experts.stacks.flatMap(stack => stack.parts.map((part, index) => [tensorName(part), { stack, index }] as const)),
  )
  const infos = Array.from(places, ([name, { stack, index }]): TensorInfo => ({
    name,
    dtype: stack.parts[index].dtype,
    shape: [stack.numExperts, ...stack.parts[index].shape],
  }))
  const readPart = async (name: string, expert: number): Promise<HostTensor> => {
    const place = places.get(name)
    if (place) return experts.read(place.stack, place.index, expert)
    if (dense.readPart) return dense.readPart(name, expert)
    throw unknownTensor(dense.path, name, places)
  }
  return {
    ...viewOf(dense, {
      list: () => [...dense.list(), ...infos],
      read: name => {
        const place = places.get(name)
        return place ? readStack(place.stack.numExperts, expert => readPart(name, expert), false) : dense.read(name)
      },
      readPart,
      locate: dense.locate && (async name => (places.has(name) ? undefined : dense.locate!(name))),
      locatePart: async (name, expert) => {
        const place = places.get(name)
        return place && experts.locate?.(place.stack, place.index, expert)
      },
    }),
    close: async () => {
      await dense.close()
      await experts.close()
    },
  }
}

/** The parts of a source, from its pages. The page that was read last is kept: its parts are often read in turn. */
export function partsOfPages(source: ExpertSource): ExpertParts {
  const { stacks } = source
  const last = lastPromise(async (key: string) => {
    const [stack, expert] = key.split('/').map(Number)
    const page = new Uint8Array(stacks[stack].bytes)
    await source.read(stack, expert, page)
    return page
  })
  return {
    stacks,
    read: async (stack, part, expert) => cut(await last.get(`${stacks.indexOf(stack)}/${expert}`), stack.parts[part]),
    close: () => source.close(),
  }
}

/** A copy of a part of a page. Throws a SwitchyardError if the part is stored transposed. */
function cut(page: Uint8Array<ArrayBuffer>, part: ExpertPart): HostTensor {
  if (part.isTransposed) throw new SwitchyardError(`${part.parameter} is stored as [out, in]`)
  return tensorFromBytes(part.dtype, part.shape, page.slice(part.offset, part.offset + partBytes(part)))
}
