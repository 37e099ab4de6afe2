import { ForwardingModel } from './forwarding-model.js'
import type { Entered } from './forwarding-model.js'
import type { ModelFacts, ModelStatistics, ServedModel } from './served-model.js'
import { sumOf } from './statistics.js'

/** A copy of a model, and whether it can take requests at once. */
export interface Replica extends ServedModel {
  readonly isAvailable: boolean
}

/** Copies of a model that share its requests: each goes to the copy that has the least work. */
export class Replicas extends ForwardingModel {
  private readonly copies: readonly { readonly model: Replica; work: number }[]

  constructor(replicas: readonly [Replica, ...Replica[]]) {
    super()
    this.copies = replicas.map(model => ({ model, work: 0 }))
  }

  get facts(): ModelFacts {
    return this.copies[0].model.facts
  }

  async statistics(): Promise<ModelStatistics> {
    return sumOf(await Promise.all(this.copies.map(({ model }) => model.statistics())))
  }

  async close(): Promise<void> {
    await Promise.all(this.copies.map(({ model }) => model.close()))
  }

  /** The copy with the least work, of those that are available if there are any. */
  protected enter(work: number): Entered {
    const available = this.copies.filter(({ model }) => model.isAvailable)
    const copy = (available.length > 0 ? available : this.copies).reduce((a, b) => (b.work < a.work ? b : a))
    copy.work += work
    return { model: copy.model, leave: () => void (copy.work -= work) }
  }
}
