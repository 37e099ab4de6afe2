import type { Writable } from 'node:stream'
import { errorCode, systemAdvice } from '../checkpoint/files.js'

/**
 * Handles failures of the standard output and the standard error. If the reader has gone (`| head`: EPIPE), a command that only
 * prints ends quietly. If the output cannot be written for another reason (a full disk: ENOSPC), it ends with code 1 and one line.
 * `goesOn` is for training, whose result is not its output: it continues without.
 */
export function handleOutputErrors(goesOn: boolean, { stdout, stderr, exit }: OutputStreams = process): void {
  let warned = false
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: Error) => {
      if (errorCode(error) === 'EPIPE') {
        if (!goesOn) exit(0)
        return
      }
      // What cannot be written to the standard error cannot be reported.
      if (stream === stdout && !warned)
        stderr.write(
          `switchyard: the output cannot be written: ${systemAdvice(error)}${goesOn ? '; training goes on' : ''}\n`,
        )
      warned = true
      if (!goesOn) exit(1)
    })
  }
}

interface OutputStreams {
  readonly stdout: Writable
  readonly stderr: Writable
  exit(code: number): void
}
