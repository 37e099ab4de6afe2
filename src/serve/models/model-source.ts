import type { Bits } from '../../checkpoint/quantize.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import type { ServedModel } from './served-model.js'

/** Which model is served, and by which name. Plain data, which can be sent to another process. */
export interface ModelSource {
  /** By this name clients ask for it. */
  readonly name: string
  /** The folder of a model in any format, or what `FindFolder` knows: a shipped name, a name of the hub. */
  readonly path: string
  /** Of a model of the hub: a branch, tag or commit. Default: main. */
  readonly revision?: string
  /** Quantizes the weights to this many bits while they are loaded. */
  readonly bits?: Bits
  /** Which checkpoint of a run. Default: the best. */
  readonly checkpoint?: CheckpointChoice
  /**
   * The most bytes of experts in memory, divided among the model's replicas: others are read when tokens meet them.
   * Default: all experts if they fit into memory, else as many as fit.
   */
  readonly expertsMemory?: number
  /** A file with the experts that stay in memory once they are read: see `TextModelOptions`. */
  readonly pins?: string
}

export type NoticeLevel = 'info' | 'warn'

/** What a model tells its server beside its answers. */
export interface ModelWatch {
  /** A message for a person: what is loaded, or, as a warning, that a process ended and is started again. */
  onNotice(message: string, level: NoticeLevel): void
  /** Whether it can take requests at once. Called when that changes after it was opened. */
  onAvailable(isAvailable: boolean): void
  /** Aborted when the server stops: opening then rejects with its reason. */
  readonly signal: AbortSignal
}

/** Opens a model. */
export type OpenModel = (source: ModelSource, watch: ModelWatch) => Promise<ServedModel>
