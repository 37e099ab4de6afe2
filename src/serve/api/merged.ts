import { News } from '../../infer/news.js'

/**
 * The items of several sources as they come, each with the number of its source. The next item of a source is asked for
 * when its last one is taken. The first failure ends all; leaving the loop does, too.
 */
export async function* merged<T>(
  sources: readonly AsyncIterable<T>[],
): AsyncGenerator<{ readonly source: number; readonly item: T }, void, undefined> {
  const iterators = sources.map(source => source[Symbol.asyncIterator]())
  const ready: { source: number; result: IteratorResult<T> }[] = []
  let failed: { error: unknown } | undefined
  const news = new News()
  const pull = (source: number): void => {
    iterators[source].next().then(
      result => {
        ready.push({ source, result })
        news.tell()
      },
      (error: unknown) => {
        failed ??= { error }
        news.tell()
      },
    )
  }
  iterators.forEach((_, source) => pull(source))
  try {
    for (let open = iterators.length; open > 0;) {
      if (ready.length === 0 && !failed) await news.next()
      if (failed) throw failed.error
      const taken = ready.splice(0)
      for (const { source, result } of taken) {
        if (result.done) open--
        else {
          yield { source, item: result.value }
          pull(source)
        }
      }
    }
  } finally {
    for (const iterator of iterators) iterator.return?.().catch(() => undefined)
  }
}
