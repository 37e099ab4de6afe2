import * as lax from '../../engine/api/lax.js'
import * as np from '../../engine/api/np.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { Mesh } from '../../engine/program/sharding.js'
import type { DeviceGroup, ExpertGroup } from '../../nn/device-group.js'
import { batchAxes } from './rules.js'

/** The devices of a mesh as the layers of a model see them. Experts are divided over the axis `expert`. */
export function deviceGroup(mesh: Mesh): DeviceGroup {
  const [data, expert] = batchAxes.map(axis => mesh.axisSize(axis))
  return {
    size: data * expert,
    total: x => lax.psum(x, batchAxes),
    experts: expert === 1 ? null : expertGroup(expert),
  }
}

function expertGroup(size: number): ExpertGroup {
  const exchange = (x: Tensor): Tensor => lax.allToAll(x, 'expert', 0, 0) // [size, ...]
  return {
    size,
    place: () => lax.axisIndex('expert'), // []
    toExperts(x) {
      const [experts, slots, dModel] = x.shape
      const own = experts / size
      const received = exchange(np.reshape(x, [size, own, slots, dModel])) // [sender, own, slots, dModel]
      return np.reshape(np.swapaxes(received, 0, 1), [own, size * slots, dModel]) // [own, size * slots, dModel]
    },
    fromExperts(x) {
      const [own, allSlots, dModel] = x.shape
      const slots = allSlots / size
      const sent = np.swapaxes(np.reshape(x, [own, size, slots, dModel]), 0, 1) // [receiver, own, slots, dModel]
      return np.reshape(exchange(sent), [size * own, slots, dModel]) // [experts, slots, dModel]
    },
    gather: x => lax.allGather(x, 'expert', { axis: 0, tiled: true }),
    scatterSum: x => lax.psumScatter(x, 'expert', { axis: 0, tiled: true }),
  }
}
