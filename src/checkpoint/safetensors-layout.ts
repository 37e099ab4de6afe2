import { dtypes } from '../base/dtypes.js'
import { SwitchyardError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import { byteLength } from './format.js'
import type { TensorInfo } from './format.js'
import {
  codes,
  maxHeaderBytes,
  maxMetadata,
  maxRank,
  maxTensors,
  safetensorsNameProblem,
} from './safetensors-header.js'
import type { StoredTensor } from './safetensors-header.js'
import { checkAnnounced } from './tensor-source.js'

/** The layout of a file that is to be written: its header's bytes, and the range of each tensor's data. */
export interface SafetensorsLayout {
  readonly header: Uint8Array
  readonly tensors: ReadonlyMap<string, StoredTensor>
}

/** The tensors that the format can hold, for `checkAnnounced`. */
export const safetensorsRules = { maxRank, nameProblem: safetensorsNameProblem }

/**
 * Decides the layout of a file. The header lists tensors in the order of `infos`; the data is ordered by element size,
 * largest first, so that every tensor is aligned for its dtype (some readers map the file into memory). Throws a
 * SwitchyardError if the format cannot hold the tensors or the metadata.
 */
export function safetensorsLayout(
  path: string,
  infos: readonly TensorInfo[],
  metadata: Readonly<Record<string, string>>,
): SafetensorsLayout {
  checkAnnounced(path, infos, safetensorsRules)
  const ranges = new Map<string, { begin: number; end: number }>()
  let position = 0
  for (const { name, dtype, shape } of infos.toSorted((a, b) => dtypes[b.dtype].bytes - dtypes[a.dtype].bytes)) {
    const end = position + byteLength(dtype, shape)!
    ranges.set(name, { begin: position, end })
    position = end
  }
  const tensors = new Map(
    infos.map(({ name, dtype, shape }) => [name, { name, dtype, shape, ...ranges.get(name)! }] as const),
  )
  return { header: headerOf(path, [...tensors.values()], metadata), tensors }
}

function headerOf(
  path: string,
  tensors: readonly StoredTensor[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  if (Object.hasOwn(metadata, '__proto__') || Object.keys(metadata).length > maxMetadata)
    throw new SwitchyardError(
      `${path}: the metadata cannot be written: it has more than ${formatCount(maxMetadata)} entries, or one called "__proto__"`,
    )
  // The JSON is concatenated: an object would move names like "0" to the front.
  const fields = tensors.map(
    ({ name, dtype, shape, begin, end }) =>
      `${JSON.stringify(name)}:${JSON.stringify({ dtype: codes[dtype], shape, data_offsets: [begin, end] })}`,
  )
  if (Object.keys(metadata).length > 0) fields.unshift(`"__metadata__":${JSON.stringify(metadata)}`)
  const text = `{${fields.join(',')}}`
  const length = Buffer.byteLength(text)
  const header = Buffer.alloc(8 + Math.ceil(length / 8) * 8, ' ')
  if (header.length - 8 > maxHeaderBytes || tensors.length > maxTensors)
    throw new SwitchyardError(
      `${path}: the names and shapes of ${formatCount(tensors.length)} tensors need a header of ${formatBytes(length)}; a file takes ${formatBytes(maxHeaderBytes)} and ${formatCount(maxTensors)} tensors: split the tensors over several files`,
    )
  header.writeBigUInt64LE(BigInt(header.length - 8))
  header.write(text, 8)
  return header
}
