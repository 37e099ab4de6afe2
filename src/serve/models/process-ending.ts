/** How a process has ended, as the end of a sentence, and details for the log. */
export interface Ending {
  readonly what: string
  readonly details: string
}

/** The ending of a process by its exit code or signal. `hang`: how it hung, if it was ended for that. */
export function endingOf(code: number | null, signal: NodeJS.Signals | null, hang: string | undefined): Ending {
  if (hang !== undefined) return { what: 'hung and was ended', details: `: ${hang}` }
  const details = signal === 'SIGKILL' ? ', as a system ends processes when memory is short' : ''
  return { what: `has ended (${signal ?? `exit code ${code}`})`, details }
}
