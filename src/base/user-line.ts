/** How many callers are looked at. */
const MOST_FRAMES = 50

/**
 * Where the innermost caller outside of this library is, as `path:line:column`; undefined if there is none, or the
 * runtime does not tell. It takes some microseconds.
 */
export function userLine(): string | undefined {
  const errors = Error as { stackTraceLimit?: number }
  const before = errors.stackTraceLimit
  errors.stackTraceLimit = MOST_FRAMES
  const { stack = '' } = new Error()
  errors.stackTraceLimit = before
  const root = new URL('../..', import.meta.url).href.replace(/\/$/, '')
  for (const line of stack.split('\n').slice(1)) {
    const place = /((?:[a-z][\w+.-]*:\/\/|\/|[A-Z]:\\)[^\s()]*:\d+:\d+)\)?$/.exec(line)?.[1]
    if (place === undefined) continue
    const url = place.startsWith('/') ? `file://${place}` : place
    if (['src', 'dist'].every(folder => !url.startsWith(`${root}/${folder}/`))) return place.replace(/^file:\/\//, '')
  }
  return undefined
}
