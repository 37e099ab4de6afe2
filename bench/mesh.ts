/**
 * Compares `switchyard plan` with training on several devices of the processor: trains g2p on each mesh for some steps
 * with XLA, and prints the measured and the predicted time of a step. Devices share the processor's cores, so a step
 * takes at least as long on more of them. docs/plan.md explains the output.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { freemem, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { spawnSync } from 'node:child_process'
import { formatTable } from '../src/base/format.js'
import { overrideConfig } from '../src/config/overrides.js'
import { recipes } from '../src/config/recipes.js'
import { tokenFlops } from '../src/plan/computation.js'
import { cpuDevice } from '../src/plan/devices.js'
import { runSpecs } from '../src/plan/memory.js'
import type { MeshShape } from '../src/plan/mesh-shape.js'
import { planStep } from '../src/plan/plan.js'
import { devicesIn, formatMesh } from '../src/train/parallel/mesh-config.js'
import { at } from './peers.js'

const { values: options } = parseArgs({
  options: {
    steps: { type: 'string', default: '40' },
    /** Settings of the recipe g2p. */
    set: { type: 'string', multiple: true, default: [] },
  },
})
const mesh = (data: number, expert: number, tensor: number): MeshShape => ({ data, expert, tensor })
const meshes = [
  mesh(1, 1, 1),
  mesh(2, 1, 1),
  mesh(1, 2, 1),
  mesh(1, 1, 2),
  mesh(4, 1, 1),
  mesh(2, 2, 1),
  mesh(1, 4, 1),
  mesh(8, 1, 1),
  mesh(4, 2, 1),
  mesh(2, 2, 2),
]

const config = overrideConfig(recipes.g2p, options.set)
const specs = runSpecs(config)
const tokens = tokenFlops(config.model, config.router)
const rows: string[][] = []
for (const shape of meshes) {
  const { flopsPerSecond, peak } = await train(shape)
  const plan = planStep(config, specs, tokens, shape, cpuDevice(devicesIn(shape), peak, freemem()))
  const measured = (plan.flops * devicesIn(shape)) / flopsPerSecond
  const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(0)} ms`
  rows.push([
    formatMesh(shape),
    milliseconds(measured),
    milliseconds(plan.seconds.total),
    milliseconds(plan.seconds.communication),
    `${(100 * (plan.seconds.total / measured - 1)).toFixed(0)}%`,
    loadavg()[0].toFixed(1),
  ])
  console.log(rows.at(-1)!.join('  '))
}
console.log(`\n${formatTable([['mesh', 'measured', 'predicted', 'of it communication', 'error', 'load'], ...rows])}`)

/** The speed of some steps on a mesh, and of a large product of matrices in the same process. */
async function train(shape: MeshShape): Promise<{ flopsPerSecond: number; peak: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-mesh-'))
  try {
    const given = [`train.steps=${options.steps}`, 'train.logEvery=10', 'train.evalExamples=1', ...options.set]
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        at('../bin/switchyard.js'),
        'train',
        'g2p',
        '--backend',
        'xla',
        '--out',
        join(folder, 'run'),
        ...(devicesIn(shape) > 1 ? ['--mesh', formatMesh(shape)] : []),
        ...given.flatMap(setting => ['--set', setting]),
      ],
      { encoding: 'utf8' },
    )
    if (status !== 0) throw new Error(`training on ${formatMesh(shape)} failed:\n${stderr.slice(-2000)}`)
    const lines = (await readFile(join(folder, 'run/metrics.jsonl'), 'utf8')).trim().split('\n')
    const records = lines
      .map(line => JSON.parse(line) as { flopsPerSecond?: number; shareOfPeak?: number })
      .filter(record => record.flopsPerSecond !== undefined)
    const { flopsPerSecond, shareOfPeak } = records.at(-1) as { flopsPerSecond: number; shareOfPeak: number }
    return { flopsPerSecond, peak: flopsPerSecond / shareOfPeak }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
