import { SwitchyardError } from '../../base/errors.js'
import { ForwardingModel } from './forwarding-model.js'
import type { Entered } from './forwarding-model.js'
import type { ModelFacts, ModelStatistics, ServedModel } from './served-model.js'

/** A model, and how many of its calls have not ended. */
interface Version {
  readonly model: ServedModel
  calls: number
  /** Called when the last call of a replaced version has ended. */
  onIdle?: () => void
}

/**
 * A model that can be replaced by another version of it while it answers. A call goes to the version that is current
 * when it begins, and ends with that version.
 */
export class SwappableModel extends ForwardingModel {
  private current: Version
  /** The current version, and those that calls have not left. */
  private readonly versions = new Set<Version>()
  private isClosed = false

  constructor(model: ServedModel) {
    super()
    this.current = this.add(model)
  }

  get facts(): ModelFacts {
    return this.current.model.facts
  }

  /** New calls go to `model`. Resolves when the calls of the version before have ended, and it is closed. */
  async swap(model: ServedModel): Promise<void> {
    if (this.isClosed) {
      await model.close()
      throw new SwitchyardError(`the model ${this.facts.name} has been closed: it takes no new version`)
    }
    const before = this.current
    this.current = this.add(model)
    if (before.calls > 0) await new Promise<void>(resolve => (before.onIdle = resolve))
    this.versions.delete(before)
    await before.model.close()
  }

  statistics(): Promise<ModelStatistics> {
    return this.call(0, model => model.statistics())
  }

  /** Closes all versions, those that were replaced while they answer included. */
  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all(Array.from(this.versions, ({ model }) => model.close()))
  }

  private add(model: ServedModel): Version {
    const version = { model, calls: 0 }
    this.versions.add(version)
    return version
  }

  protected enter(): Entered {
    const { current } = this
    current.calls++
    return { model: current.model, leave: () => leave(current) }
  }
}

function leave(version: Version): void {
  version.calls--
  if (version.calls === 0) version.onIdle?.()
}
