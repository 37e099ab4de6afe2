import { writeFileAtomically } from './atomic.js'
import { firstBytes, openFrom, withPath, writeConcatenated } from './files.js'
import type { CheckpointFormat } from './format.js'
import { headerLength, maxHeaderBytes } from './safetensors-header.js'
import { safetensorsLayout } from './safetensors-layout.js'
import { openSafetensors } from './safetensors-read.js'
import { delivered } from './tensor-source.js'

/** How many bytes of tensors are collected before they are written. */
const batchBytes = 64 * 2 ** 20

/** Single .safetensors files. safetensors-header.ts describes their layout. */
export const safetensors: CheckpointFormat = {
  name: 'safetensors',

  async detect(path) {
    if (path.endsWith('.safetensors')) return true
    const start = await firstBytes(path, 9)
    return start !== undefined && start.length === 9 && start[8] === 0x7b && headerLength(start) <= maxHeaderBytes
  },

  open(path) {
    return openFrom(path, openSafetensors)
  },

  async write(path, source, options = {}) {
    const layout = safetensorsLayout(path, source.infos, options.metadata ?? {})
    await writeFileAtomically(
      path,
      async handle => {
        const { header, tensors } = layout
        // Tensors that follow each other in the file are written by one call. While a model trains, each call waits for
        // the end of a step's part.
        let parts = [header]
        let [start, end] = [0, header.byteLength]
        const flush = (): Promise<void> => withPath(path, () => writeConcatenated(handle, parts, start))
        for await (const { info, offset, bytes } of delivered(path, source.entries, tensors)) {
          const at = header.byteLength + info.begin + offset
          if (at !== end || end - start > batchBytes) {
            await flush()
            parts = []
            start = at
          }
          parts.push(bytes)
          end = at + bytes.byteLength
        }
        await flush()
      },
      { replace: options.replace },
    )
  },
}
