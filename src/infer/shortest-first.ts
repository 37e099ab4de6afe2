/**
 * Calls `task` for all inputs at once, the shortest first, so that inputs of similar length share a batch. Returns the
 * results in the order of the inputs. If one task fails, the signal of all is aborted. `given`: a signal that ends all.
 * `onProgress` is called after each input with the number of those that are done.
 */
export async function shortestFirst<T>(
  inputs: readonly (readonly number[])[],
  given: AbortSignal | undefined,
  onProgress: ((done: number) => void) | undefined,
  task: (index: number, signal: AbortSignal) => Promise<T>,
): Promise<T[]> {
  const failed = new AbortController()
  const signal = given ? AbortSignal.any([given, failed.signal]) : failed.signal
  const results = new Array<T>(inputs.length)
  let done = 0
  const byLength = inputs.map((_, i) => i).sort((a, b) => inputs[a].length - inputs[b].length)
  try {
    await Promise.all(
      byLength.map(async i => {
        results[i] = await task(i, signal)
        onProgress?.(++done)
      }),
    )
  } finally {
    failed.abort()
  }
  return results
}
