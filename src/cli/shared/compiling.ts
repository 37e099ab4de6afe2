import type { CompileClock } from '../../engine/compile/compile-clock.js'

/** Seconds that a program is compiled before that is shown. */
const APPEARS_AFTER = 1.5

/** Shows that a program is being compiled. */
type Display = () => void

let clock: CompileClock | undefined
/** Whether the compilation that runs now is shown. */
let isShown = false
const displays: Display[] = [announceOnce]

/** Shows compilations that take longer than a moment: on the progress bar, if there is one, or else once as a line. */
export function watchCompiling(watched: CompileClock): void {
  clock = watched
  let timer: NodeJS.Timeout | undefined
  watched.onChange(() => {
    clearTimeout(timer)
    isShown = false
    if (watched.isRunning) timer = setTimeout(show, 1000 * APPEARS_AFTER).unref()
  })
}

function show(): void {
  isShown = true
  displays.at(-1)!()
}

/** Lets `display` show compilations until the returned function is called. */
export function showCompilingBy(display: Display): () => void {
  displays.push(display)
  if (isShown) display()
  return () => void displays.splice(displays.lastIndexOf(display), 1)
}

/** The seconds that compilations have taken so far, as far as they are watched. */
export const secondsCompiling = (): number => clock?.seconds ?? 0

let isAnnounced = false

/** Nothing else happens while XLA compiles. */
function announceOnce(): void {
  if (!isAnnounced)
    console.error('compiling with XLA, which takes a while for each new size; compiled programs are kept for next time')
  isAnnounced = true
}
