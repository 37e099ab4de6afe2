import { open } from 'node:fs/promises'
import { withPath } from '../../base/system-errors.js'
import type { RoutedPass } from '../../infer/expert-choices.js'
import { PageNumbers } from '../../infer/paging/pages.js'
import { readTrace, turnsOf } from '../../infer/paging/trace.js'
import type { Turn } from '../../infer/paging/turn.js'
import { linesOf } from '../shared/texts.js'

interface OpenedTrace {
  readonly model: string
  readonly pages: PageNumbers
  readonly passes: AsyncIterable<RoutedPass>
}

/** Opens a trace, and reads its passes one by one. */
export const withTrace = async <T>(path: string, read: (trace: OpenedTrace) => Promise<T>): Promise<T> =>
  withPath(path, async () => {
    const file = await open(path)
    try {
      const { header, passes } = await readTrace(path, linesOf(file.createReadStream({ autoClose: false })))
      return await read({ model: header.model, pages: new PageNumbers(header.stacks), passes })
    } finally {
      await file.close()
    }
  })

/** A trace as the turns of its layers. */
export interface TraceTurns {
  readonly model: string
  readonly pages: PageNumbers
  readonly turns: readonly Turn[]
  /** How many tokens were encoded and decoded. */
  readonly tokens: number
}

/** Reads the turns of a trace into memory: a few bytes for each expert that a turn wants. */
export const turnsOfTrace = (path: string): Promise<TraceTurns> =>
  withTrace(path, async ({ model, pages, passes }) => {
    const turns: Turn[] = []
    let tokens = 0
    for await (const pass of passes) {
      turns.push(...turnsOf(pass, pages))
      tokens += pass.tokens.length
    }
    return { model, pages, turns, tokens }
  })
