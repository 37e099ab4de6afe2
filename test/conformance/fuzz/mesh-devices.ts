/** Devices that run random programs: processes, of this job or of MPI, and XLA's. */
import type { HostTensor } from '../../../src/base/host-tensor.js'
import type { Backend, Buffer } from '../../../src/engine/compile/backend.js'
import { NamedSharding, P } from '../../../src/engine/program/sharding.js'
import type { XlaBuffer } from '../../../src/engine/compile/xla/buffer.js'
import type { Devices, Result } from './mesh-ways.js'

/** A result's parts on the devices of one backend. */
type PartsOf = (buffer: Buffer) => Promise<(readonly [device: number, part: HostTensor])[]>

const ofProcess =
  (rank: number): PartsOf =>
  async buffer => [[rank, await buffer.shards![0].read()]]

const ofXla: PartsOf = buffer =>
  Promise.all((buffer as XlaBuffer).parts.map(async (part, i) => [i, await part.read()] as const))

/** `backends`: one for each process that is at hand, or one that has all devices. */
function devices(backends: readonly (readonly [Backend, PartsOf])[], isXla: boolean): Devices {
  return {
    isXla,
    run: async (program, partition, inputs, layouts, donated) => {
      const results = await Promise.all(
        backends.map(async ([backend, partsOf]) => {
          const executable = await backend.compile(program, donated, partition)
          const buffers = inputs.map((x, i) => {
            const spec = layouts[i]
            return spec ? backend.put(x, new NamedSharding(partition.mesh, spec)) : backend.put(x)
          })
          const outputs = await executable.run(buffers)
          const parts = await Promise.all(outputs.map(partsOf))
          await executable.release()
          return outputs.map((o, i) => ({ spec: o.sharding?.spec ?? P(), parts: parts[i] }))
        }),
      )
      return results[0].map(({ spec }, i): Result => ({ spec, parts: new Map(results.flatMap(of => of[i].parts)) }))
    },
  }
}

export const processes = (backends: readonly (readonly [rank: number, backend: Backend])[]): Devices =>
  devices(
    backends.map(([rank, backend]) => [backend, ofProcess(rank)]),
    false,
  )

export const xlaDevices = (backend: Backend): Devices => devices([[backend, ofXla]], true)
