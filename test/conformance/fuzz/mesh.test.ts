import fc from 'fast-check'
import { describe, it } from 'vitest'
import { onnxBackend } from '../../../src/engine/api/engine.js'
import { openXla } from '../../../src/engine/compile/xla/node.js'
import { Mesh } from '../../../src/engine/program/sharding.js'
import { localBackends } from '../../processes/local-job.js'
import { xlaPlugin } from '../../xla-plugin.js'
import { processes, xlaDevices } from './mesh-devices.js'
import { meshCase, ways } from './mesh-ways.js'
import type { Devices } from './mesh-ways.js'
import { fuzzBackend, fuzzRuns, fuzzSeed } from './settings.js'

/**
 * Random programs with `shardMap` and collectives, on one device's arrays and on their parts: processes that run ONNX
 * Runtime, and XLA's devices, give what the interpreter gives for one device. FUZZ_RUNS and FUZZ_SEED: see
 * fuzz.test.ts. FUZZ_BACKEND names one kind of devices.
 */
const meshes = [new Mesh({ data: 2 }), new Mesh({ data: 2, expert: 2 }), new Mesh({ data: 4 })]

interface Kind {
  /** How many programs are run, unless FUZZ_RUNS says so. */
  runs: number
  /** Makes devices for each program: a run that has failed leaves processes at different places of it. */
  create: (size: number) => Promise<() => Promise<Devices>>
}

const kinds: { readonly [name: string]: Kind } = {
  processes: {
    runs: 96,
    create: async size => async () => processes([...(await localBackends(size, () => onnxBackend())).entries()]),
  },
  xla: {
    runs: 12,
    create: async size => {
      const devices = xlaDevices(await openXla({ plugin: xlaPlugin, cache: false, cpuDevices: size }))
      return async () => devices
    },
  },
}

const cases = Object.entries(ways).flatMap(([name, way]) => meshes.map(mesh => [name, mesh, way] as const))
for (const [kind, { runs, create }] of Object.entries(kinds)) {
  if (fuzzBackend && kind !== fuzzBackend) continue
  const numRuns = Math.ceil(fuzzRuns(runs) / cases.length)
  describe.skipIf(kind === 'xla' && !xlaPlugin)(
    `random programs on a mesh of ${kind} (seed ${fuzzSeed}, ${numRuns} programs each)`,
    () => {
      it.each(cases)('%s, on %s: the same results', async (_, mesh, way) => {
        const devicesFor = await create(mesh.size)
        await fc.assert(
          fc.asyncProperty(meshCase, async c => way(c, mesh, await devicesFor())),
          { numRuns, seed: fuzzSeed, timeout: 60_000 },
        )
      })
    },
  )
}
