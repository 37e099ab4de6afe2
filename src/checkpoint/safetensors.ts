import { writeFileAtomically } from './atomic.js'
import { firstBytes, openFrom, withPath, writeExactly } from './files.js'
import type { CheckpointFormat } from './format.js'
import { headerLength, maxHeaderBytes } from './safetensors-header.js'
import { safetensorsLayout } from './safetensors-layout.js'
import { openSafetensors } from './safetensors-read.js'
import { delivered } from './tensor-source.js'

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
        await withPath(path, () => writeExactly(handle, header, 0))
        for await (const { info, bytes } of delivered(path, source.entries, tensors))
          await withPath(path, () => writeExactly(handle, bytes, header.byteLength + info.begin))
      },
      { replace: options.replace },
    )
  },
}
