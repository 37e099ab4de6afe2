import { tensorFromBytes } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { StoredTensor } from '../base/stored-tensor.js'
import { readExactly } from './byte-source.js'
import type { StoredBytes } from './format.js'
import { readStack, transposeMatrix } from './layout.js'

/**
 * A parameter that is in files on disk: one tensor, or, if `stacked`, one for each index of the parameter's first axis.
 * If `transposed`, matrices are stored [out, in].
 */
export function storedTensor(
  pieces: readonly StoredBytes[],
  { stacked, transposed }: { readonly stacked: boolean; readonly transposed: boolean },
): StoredTensor {
  const [{ dtype, shape }] = pieces
  const lead = stacked ? [pieces.length] : []
  const files = [...new Map(pieces.map(({ file }) => [file.path, file])).values()]
  const check = async (use: Promise<unknown>): Promise<void> => {
    const verified = Promise.all(pieces.map(piece => piece.verify?.()))
    await Promise.allSettled([use, verified])
    for (const file of files) await file.check()
    await verified
  }
  const readAll = async (): Promise<HostTensor> => {
    if (stacked) return readStack(pieces.length, i => readPiece(pieces[i]), transposed)
    const tensor = await readPiece(pieces[0])
    return transposed ? transposeMatrix(tensor) : tensor
  }
  return {
    dtype,
    shape: [...lead, ...(transposed ? [...shape.slice(0, -2), ...shape.slice(-2).reverse()] : shape)],
    inFile: {
      dtype,
      shape: [...lead, ...shape],
      pieces: pieces.map(({ file, offset, length }) => ({ file: file.path, offset, length })),
    },
    isTransposed: transposed,
    read: async () => {
      const reading = readAll()
      await check(reading)
      return reading
    },
    check,
  }
}

async function readPiece({ dtype, shape, file, offset, length }: StoredBytes): Promise<HostTensor> {
  const source = await file.open()
  try {
    return tensorFromBytes(dtype, shape, await readExactly(source, offset, length, 'a tensor'))
  } finally {
    await source.close?.()
  }
}
