import { ConfigError } from '../../base/errors.js'
import { Mesh } from '../../engine/program/sharding.js'
import { hasSparseLayers } from '../../model/config.js'
import type { ModelConfig } from '../../model/config.js'

/**
 * The devices that a run is trained on, as T5X's meshes: the batch is divided over `data` and `expert`, the experts
 * over `expert`, and heads, hidden layers and the vocabulary over `tensor`.
 */
export interface MeshConfig {
  data: number
  expert: number
  tensor: number
}

const axes = ['data', 'expert', 'tensor'] as const

/** How many devices a mesh has. */
export const devicesIn = ({ data, expert, tensor }: Readonly<MeshConfig>): number => data * expert * tensor

/** Reads a mesh in text form: `data=2,expert=4`. Undefined if the text is something else. */
export function parseMesh(text: string): MeshConfig | undefined {
  const mesh: MeshConfig = { data: 1, expert: 1, tensor: 1 }
  const named = new Set<string>()
  for (const part of text.split(',')) {
    const [, name, size] = /^\s*(\w+)\s*=\s*([1-9]\d*)\s*$/.exec(part) ?? []
    const axis = axes.find(a => a === name)
    if (axis === undefined || named.has(axis)) return undefined
    named.add(axis)
    mesh[axis] = Number(size)
  }
  return mesh
}

/** `data=2,expert=4`; axes of one device are left out. */
export const formatMesh = (mesh: MeshConfig): string =>
  axes.flatMap(axis => (mesh[axis] > 1 ? [`${axis}=${mesh[axis]}`] : [])).join(',') || 'data=1'

/** The settings of a run on which its mesh depends. */
interface MeshedRun {
  readonly model: ModelConfig
  readonly train: { readonly mesh: MeshConfig | null; readonly rows: number; readonly accumulate: number }
}

/**
 * The mesh of a run; null if it has one device. Throws a ConfigError if the batch or the model cannot be divided evenly
 * over it.
 */
export function meshOfRun({ model, train: { mesh, rows, accumulate } }: MeshedRun): Mesh | null {
  if (mesh === null || devicesIn(mesh) === 1) return null
  const where = `train.mesh ${formatMesh(mesh)}`
  const refuse = (axis: string, devices: number, what: string, count: number): void => {
    if (count % devices !== 0)
      throw new ConfigError(
        `${where}: ${axis} is ${devices}, which does not divide ${what}, ${count}: choose a divisor of ${count}, or ` +
          'change that number',
      )
  }
  refuse(
    'data x expert',
    mesh.data * mesh.expert,
    'the rows computed together (train.rows / train.accumulate)',
    rows / accumulate,
  )
  if (hasSparseLayers(model))
    refuse('expert', mesh.expert, 'the number of experts (model.numExperts)', model.numExperts)
  refuse('tensor', mesh.tensor, 'the number of heads (model.numHeads)', model.numHeads)
  refuse('tensor', mesh.tensor, 'the width of feed-forward layers (model.dFf)', model.dFf)
  return new Mesh({ ...mesh })
}

/**
 * Throws a ConfigError if a run cannot be divided by collectives alone, as on a backend that does not divide programs
 * itself (processes, each of which is a device).
 */
export function requireDivisible({ mesh }: Pick<MeshedRun['train'], 'mesh'>, backend: string): void {
  if (mesh !== null && mesh.tensor > 1)
    throw new ConfigError(
      `train.mesh ${formatMesh(mesh)}: the processes of the backend ${backend} divide a run over data and expert alone: ` +
        'leave tensor out, or train in one process with --backend xla',
    )
}
