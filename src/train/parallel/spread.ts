import type { ForwardOptions } from '../../model/types.js'
import { deviceGroup } from './device-group.js'
import type { MeshProgram } from './jit-on-mesh.js'
import { constrainOn } from './rules.js'

/** How a model runs on several devices. */
export type SpreadOptions = Pick<ForwardOptions, 'constrain' | 'devices'>

/** How a model runs on a mesh, in functions that `jitOnMesh` compiles; on one device without a mesh. */
export const spreadOver = (run: MeshProgram | null): SpreadOptions =>
  run === null ? {} : run.collectives ? { devices: deviceGroup(run.mesh) } : { constrain: constrainOn(run.mesh) }
