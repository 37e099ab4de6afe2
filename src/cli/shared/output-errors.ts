import type { Writable } from 'node:stream'
import { errorCode, systemAdvice } from '../../checkpoint/files.js'

/**
 * Handles write errors of the standard output and the standard error. A closed pipe (EPIPE, as with `| head`) ends the
 * process with code 0. Any other error, such as a full disk (ENOSPC), prints one message and ends it with code 1. With
 * `goesOn`, the process continues without output; it names what does: training, whose result is the saved run.
 */
export function handleOutputErrors(
  goesOn: string | undefined,
  { stdout, stderr, exit }: OutputStreams = process,
): void {
  let warned = false
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: Error) => {
      if (errorCode(error) === 'EPIPE') {
        if (goesOn === undefined) exit(0)
        return
      }
      // An error of the standard error itself cannot be reported anywhere.
      if (stream === stdout && !warned)
        stderr.write(
          `switchyard: the output cannot be written: ${systemAdvice(error)}${goesOn === undefined ? '' : `; ${goesOn} goes on`}\n`,
        )
      warned = true
      if (goesOn === undefined) exit(1)
    })
  }
}

interface OutputStreams {
  readonly stdout: Writable
  readonly stderr: Writable
  exit(code: number): void
}
