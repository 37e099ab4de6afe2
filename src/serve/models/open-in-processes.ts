import { availableParallelism } from 'node:os'
import { formatBytes, formatCount } from '../../base/format.js'
import { pathOrShipped } from '../../open/shipped-models.js'
import type { ModelLimits, Opening } from './messages.js'
import { ModelProcess, sameAgain } from './model-process.js'
import type { ModelSource, ModelWatch, OpenModel } from './model-source.js'
import { Replicas } from './replicas.js'

export interface ProcessSettings {
  /** Finds the folder of a model by its path. Default: the path, or else the shipped model of this name. */
  readonly findFolder?: (source: ModelSource) => Promise<string>
  readonly limits: ModelLimits
  /** How many copies of each model are loaded, each in a process of its own. They divide the processors. Default: 1. */
  readonly replicas?: number
  /** See `Opening.valuesModule`. */
  readonly valuesModule?: string
  /** The module that processes run. Default: the compiled one of this package. */
  readonly entry?: URL
}

/** Opens models in processes of their own. */
export const openInProcesses =
  ({
    findFolder = ({ path }) => pathOrShipped(path),
    limits,
    replicas = 1,
    valuesModule,
    entry,
  }: ProcessSettings): OpenModel =>
  async (source, watch) => {
    const start = performance.now()
    const path = await findFolder(source)
    watch.signal.throwIfAborted()
    const { name, bits, checkpoint, pins } = source
    const expertsMemory = source.expertsMemory && Math.floor(source.expertsMemory / replicas)
    if (expertsMemory !== undefined && replicas > 1)
      watch.onNotice(
        `each of ${replicas} replicas keeps up to ${formatBytes(expertsMemory)} of experts in memory`,
        'info',
      )
    const threads = threadsOf(replicas)
    let opening: Opening = { name, path, bits, checkpoint, expertsMemory, pins, limits, threads, valuesModule }
    const copies: ModelProcess[] = []
    const isLoading = (): boolean => copies.length < replicas
    const onAvailable = (): void => watch.onAvailable(copies.some(({ isAvailable }) => isAvailable))
    try {
      // One after another: each compares what it and those behind it need with the memory that is free.
      for (let i = 0; isLoading(); i++) {
        const onNotice: ModelWatch['onNotice'] = (message, level) => {
          if (replicas === 1) watch.onNotice(message, level)
          else if (i === 0 || !isLoading()) watch.onNotice(`replica ${i + 1}: ${message}`, level)
        }
        const first = { ...opening, copies: replicas - i }
        copies.push(await ModelProcess.start(first, { signal: watch.signal, onAvailable, onNotice }, entry))
        opening = sameAgain(opening, copies[0].facts)
      }
    } catch (error) {
      await Promise.all(copies.map(copy => copy.close()))
      throw error
    }
    const { parameters, path: folder } = copies[0].facts
    watch.onNotice(
      `${formatCount(parameters)} parameters from ${folder}, loaded in ${((performance.now() - start) / 1000).toFixed(1)} s by ${copies.map(({ pid }) => `process ${pid}`).join(', ')}`,
      'info',
    )
    return replicas === 1 ? copies[0] : new Replicas(copies as [ModelProcess, ...ModelProcess[]])
  }

/** The threads of each of so many processes. */
const threadsOf = (replicas: number): number => Math.max(1, Math.floor(availableParallelism() / replicas))
