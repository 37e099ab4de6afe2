import type { Buffer, Executable } from '../backend.js'
import { ProcessBuffer } from './buffer.js'

/** All of an array of which each process has all, as the backend knows it that computes on this process. */
export const wholeOf = (buffer: Buffer): Buffer => (buffer instanceof ProcessBuffer ? buffer.whole : buffer)

/** An executable of the backend that computes on this process, which also takes arrays on the mesh of processes. */
export const onWholes = (executable: Executable): Executable => ({
  stats: executable.stats,
  run: async (inputs, written, name) => {
    const wholes = inputs.map(wholeOf)
    const writtenWholes = new Set<Buffer>()
    try {
      return await executable.run(wholes, writtenWholes, name)
    } finally {
      inputs.forEach((input, i) => {
        if (writtenWholes.has(wholes[i])) written?.add(input)
      })
    }
  },
  ...(executable.runNow && { runNow: (inputs, name) => executable.runNow!(inputs.map(wholeOf), name) }),
  release: () => executable.release(),
})
