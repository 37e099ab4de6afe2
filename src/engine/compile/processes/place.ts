import { check } from '../../../base/errors.js'
import { deviceGroups, devicePositions } from '../../program/sharding.js'
import type { Mesh } from '../../program/sharding.js'
import type { Communicator, Group } from './communicator.js'

/** Where a process is on a mesh: process i is device i. */
export class Place {
  private readonly position: readonly number[]
  private readonly groups = new Map<string, Group>()

  /** Throws a ShapeError unless the mesh has as many devices as there are processes. */
  constructor(
    readonly mesh: Mesh,
    readonly communicator: Communicator,
  ) {
    check(
      mesh.size === communicator.size,
      () =>
        `${mesh} has ${mesh.size} devices, and this job has ${communicator.size} processes, each of which is a device: make both equal`,
    )
    this.position = devicePositions(mesh)[communicator.rank]
  }

  /** The position of this process along an axis. */
  along(axis: string): number {
    return this.position[this.mesh.axes.findIndex(a => a.name === axis)]
  }

  /** The processes that differ from this one along these axes alone, the last axis varying fastest. */
  group(axes: readonly string[]): Group {
    const key = axes.join()
    let group = this.groups.get(key)
    if (!group) {
      const { rank } = this.communicator
      this.groups.set(key, (group = deviceGroups(this.mesh, axes).find(members => members.includes(rank))!))
    }
    return group
  }
}
