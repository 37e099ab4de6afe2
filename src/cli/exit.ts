/** Ends a command with an exit code other than 0. What there is to say has been printed. */
export class Exit extends Error {
  constructor(readonly code: number) {
    super(`exit code ${code}`)
  }
}
