import type { AnswerPiece } from './answer-piece.js'
import type { AnswerQueue, RequestOptions } from './answer-queue.js'
import { AnswerReader } from './answer-reader.js'
import type { ReaderContext } from './answer-reader.js'
import { News } from './news.js'
import type { Search } from './search.js'

/** The pieces of all answers of a search that follow after each other. */
export class SearchReader {
  private readonly readers: AnswerReader[] = []

  constructor(
    private readonly search: Search,
    private readonly context: ReaderContext,
  ) {}

  /** The pieces since the last call. `isDone`: the search has finished. */
  read(isDone: boolean): AnswerPiece[] {
    const { search, context } = this
    if (!isDone && !(search.answersGrow ?? search.rows === 1)) return []
    return search.answers().flatMap((answer, index) => {
      const reader = (this.readers[index] ??= new AnswerReader(context))
      const piece = reader.read(answer, isDone || answer.isOver === true)
      return piece === null ? [] : [{ index, ...piece }]
    })
  }
}

/** Runs a request, and yields its answers in pieces, as they are generated. Leaving the loop ends the request. */
export async function* streamPieces(
  queue: AnswerQueue,
  inputs: readonly number[],
  search: Search,
  context: ReaderContext,
  { signal: given, onEncoded }: Pick<RequestOptions, 'signal' | 'onEncoded'> = {},
): AsyncGenerator<AnswerPiece, void, undefined> {
  const left = new AbortController()
  const signal = given ? AbortSignal.any([given, left.signal]) : left.signal
  const reader = new SearchReader(search, context)
  const news = new News()
  let isDone = false
  const done = queue.run(inputs, search, { signal, onEncoded, onStep: () => news.tell() }).finally(() => {
    isDone = true
    news.tell()
  })
  done.catch(() => undefined) // It is awaited below, unless the reader leaves.
  try {
    while (!isDone) {
      await news.next()
      yield* reader.read(false)
    }
    await done
    yield* reader.read(true)
  } finally {
    left.abort()
  }
}
