/** Ends a command with an exit code other than 0, without a further message: the command has printed its own. */
export class Exit extends Error {
  constructor(readonly code: number) {
    super(`exit code ${code}`)
  }
}
