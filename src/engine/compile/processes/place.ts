import { check } from '../../../base/errors.js'
import { devicePositions } from '../../program/sharding.js'
import type { Mesh } from '../../program/sharding.js'
import type { Communicator, Group } from './communicator.js'

/** Where a process is on a mesh: process i is device i. */
export class Place {
  private readonly positions: readonly (readonly number[])[]
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
    this.positions = devicePositions(mesh)
  }

  /** The position of this process along an axis. */
  along(axis: string): number {
    return this.positions[this.communicator.rank][this.numberOf(axis)]
  }

  /** The processes that differ from this one along these axes alone, the last axis varying fastest. */
  group(axes: readonly string[]): Group {
    const key = axes.join()
    let group = this.groups.get(key)
    if (!group) {
      const numbers = axes.map(a => this.numberOf(a))
      const own = this.positions[this.communicator.rank]
      const members = this.positions
        .map((position, rank) => ({ position, rank }))
        .filter(({ position }) => position.every((p, i) => numbers.includes(i) || p === own[i]))
      const order = (position: readonly number[]): number =>
        numbers.reduce((n, i) => n * this.mesh.axes[i].size + position[i], 0)
      members.sort((a, b) => order(a.position) - order(b.position))
      this.groups.set(key, (group = members.map(m => m.rank)))
    }
    return group
  }

  private numberOf(axis: string): number {
    return this.mesh.axes.findIndex(a => a.name === axis)
  }
}
