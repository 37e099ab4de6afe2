import { beforeAll, describe, expect, it } from 'vitest'
import { memorySource, pagedParameters } from '../../../test/memory-source.js'
import type { BeforeRead } from '../../../test/memory-source.js'
import { sparseModel } from '../../../test/small-model.js'
import { FileError } from '../../base/errors.js'
import { leavesWithPaths } from '../../base/pytree.js'
import { expertName } from '../../checkpoint/experts/source.js'
import { jit } from '../../engine/api/jit.js'
import * as random from '../../engine/api/random.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { initParameters } from '../../model/init.js'
import { declareParameters } from '../../model/parameters.js'
import { preset } from '../../model/presets.js'
import type { ModelParams } from '../../model/types.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { AnswerQueue } from '../answer-queue.js'
import type { RoutedPass } from '../expert-choices.js'
import { Scheduler } from '../scheduler.js'
import { greedySearch } from '../search.js'
import { TextGenerator } from '../text-generator.js'
import { Pager } from './pager.js'
import { turnsOf } from './trace.js'

const vocabulary = new ByteVocabulary()
const { router } = preset('switch-base-8')
const config = sparseModel({ vocabSize: vocabulary.size, numExperts: 8 })
const specs = declareParameters(config, router)

it('a model whose experts are paged answers as in memory, in any memory, and reads what its tokens met', async () => {
  const params = jit(() => initParameters(specs, random.key(3)))()
  const entries = new Map(leavesWithPaths<Tensor>(params))
  const source = await memorySource(specs, entries)
  const pageBytes = source.stacks[0].bytes
  const answersOf = async (own: ModelParams, onPass?: (pass: RoutedPass) => void): Promise<string[]> => {
    const options = { config, router, maxNewTokens: 5 }
    const codec = { inputs: vocabulary, targets: vocabulary, prepare: (text: string) => text }
    const generator = new TextGenerator({ params: own, options, codec }, { onPass })
    const texts = ['hello', 'a', 'switch yard', 'four']
    return (await generator.answerAll(texts, { minNewTokens: 5 })).map(([{ tokens }]) => String(tokens))
  }
  const resident = await answersOf(params)
  for (const slots of [1, 5, 32]) {
    const pager = new Pager(source, { memory: slots * pageBytes })
    let wanted = 0
    const answers = await answersOf(pagedParameters(entries, pager, source), pass => {
      for (const { pages } of turnsOf(pass, pager.pages)) wanted += pages.length
    })
    expect(answers).toEqual(resident)
    expect(pager.memoryBytes).toBeLessThanOrEqual(slots * pageBytes)
    const counts = pager.statistics()
    expect(counts.reduce((sum, { hits, misses }) => sum + hits + misses, 0)).toBe(wanted)
    expect(counts.some(({ hits }) => hits > 0)).toBe(slots > 1)
  }
})

describe.each(['encoder', 'decoder'] as const)('an expert of the %s that one of two requests needs', stackName => {
  const inputs = [
    [7, 12, 30, 4, 1],
    [9, 8, 21, 33, 60, 1],
  ]
  let beforeRead: BeforeRead | undefined
  let queue: AnswerQueue
  /** The number of the stack and of the expert, and its name. */
  let needed: { readonly stack: number; readonly expert: number; readonly name: string }
  const isNeeded = (stack: number, expert: number): boolean => stack === needed.stack && expert === needed.expert
  /** The other request's answer. */
  let expected: readonly number[]
  const answer = async (to: number, signal?: AbortSignal): Promise<readonly number[]> => {
    const search = greedySearch({ maxNewTokens: 4, specialIds: { eosIds: [], decoderStartId: 0 } })
    await queue.run(inputs[to], search, { signal })
    return search.answers()[0].tokens
  }
  beforeAll(async () => {
    const entries = new Map(leavesWithPaths<Tensor>(jit(() => initParameters(specs, random.key(5)))()))
    const source = await memorySource(specs, entries, (...read) => beforeRead?.(...read))
    const start = (onPass?: (pass: RoutedPass) => void): Pager => {
      const pager = new Pager(source, { memory: 64 * source.stacks[0].bytes })
      const limits = { maxInputTokens: 64, maxNewTokens: 4, maxRows: 4, maxMemoryBytes: 2 ** 20, release: false }
      const scheduler = new Scheduler(
        pagedParameters(entries, pager, source),
        { config, router, mode: 'eval' },
        { ...limits, onPass, experts: pager },
      )
      queue = new AnswerQueue(scheduler)
      return pager
    }
    const passes: RoutedPass[] = []
    const { pages } = start(pass => passes.push(pass))
    const metBy: Set<number>[] = []
    for (const to of [0, 1]) {
      passes.length = 0
      expected = await answer(to)
      metBy.push(new Set(passes.flatMap(pass => turnsOf(pass, pages)).flatMap(turn => [...turn.pages])))
    }
    const page = [...metBy[0]].find(
      met => !metBy[1].has(met) && source.stacks[pages.stackOf(met)].path.startsWith(stackName),
    )!
    const [stack, expert] = [pages.stackOf(page), pages.expertOf(page)]
    needed = { stack, expert, name: expertName(source.stacks[stack], expert) }
    start()
  })

  it('is not read any more when that request is aborted, and the other one goes on', async () => {
    const leaving = new AbortController()
    let reason: unknown
    beforeRead = async (stack, expert, signal) => {
      if (!isNeeded(stack, expert)) return
      const ended = new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error)))
      leaving.abort(new Error('the client has left'))
      await ended.catch((error: unknown) => {
        reason = error
        throw error
      })
    }
    const both = await Promise.allSettled([answer(0, leaving.signal), answer(1)])
    expect(both[0]).toMatchObject({ reason: new Error('the client has left') })
    expect(both[1]).toEqual({ status: 'fulfilled', value: expected })
    expect(String(reason)).toContain('no fetch wants this page any more')
  })

  it('fails that request alone if it cannot be read, and is read again later', async () => {
    beforeRead = (...read) => {
      if (isNeeded(read[0], read[1])) throw new FileError(`memory: ${needed.name} is damaged`)
    }
    const both = await Promise.allSettled([answer(0), answer(1)])
    expect(both[0]).toMatchObject({ reason: { message: `memory: ${needed.name} is damaged (read 3 times)` } })
    expect(both[1]).toEqual({ status: 'fulfilled', value: expected })
    await expect(answer(0)).rejects.toThrow('is damaged')
    beforeRead = undefined
    expect((await Promise.all([answer(0), answer(1)]))[1]).toEqual(expected)
  })
})
