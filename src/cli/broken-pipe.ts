/**
 * What to do when whoever reads the output has left (`| head`): a command that only prints ends quietly, and training goes on unwatched.
 * Other failures of the output are failures.
 */
export function tolerateBrokenPipe(goesOn: boolean): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      if (!goesOn) process.exit(0)
    })
  }
}
