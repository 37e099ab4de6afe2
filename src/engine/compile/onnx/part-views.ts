import { partOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { InputPart } from './proto.js'

/**
 * The inputs of a graph that are parts of other inputs (`GraphInfo.parts`), as views of the same memory. A view is made
 * once for each array: an array that is passed again, such as a parameter updated in place, has the same views.
 */
export class PartViews {
  private readonly views = new WeakMap<HostTensor['data'], Map<number, HostTensor>>()

  constructor(private readonly parts: readonly InputPart[]) {}

  /** The parts of these inputs, in their order. */
  of(inputs: readonly HostTensor[]): HostTensor[] {
    return this.parts.map(({ input, index }, i) => {
      const whole = inputs[input]
      let known = this.views.get(whole.data)
      if (!known) this.views.set(whole.data, (known = new Map()))
      let view = known.get(i)
      if (!view) known.set(i, (view = partOf(whole, index)))
      return view
    })
  }
}
