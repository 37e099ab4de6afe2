import { ConfigError } from '../../base/errors.js'

/**
 * The most steps of the work for one token, about 20 ms. All requests of a model wait while it is done, so what needs
 * more is refused.
 */
export const STEPS_OF_A_TOKEN = 1_000_000

/** Counts the steps of a constraint's work for one token. Throws a ConfigError when they exceed the limit. */
export class WorkLimit {
  /** The steps since the work for the current token began. */
  spent = 0

  /** `name` is the constraint, for messages: `the regular expression "a*"`. */
  constructor(private readonly name: string) {}

  /** Begins the work for one token. */
  begin(): void {
    this.spent = 0
  }

  spend(steps: number): void {
    this.spent += steps
    if (this.spent > STEPS_OF_A_TOKEN) throw this.error()
  }

  /** Throws if the work of a trial leaves less than two thirds of the limit: later tokens may cost more. */
  checkTrial(): void {
    if (this.spent > STEPS_OF_A_TOKEN / 3) throw this.error()
  }

  private error(): ConfigError {
    return new ConfigError(
      `${this.name} is too costly: to tell which tokens may come next can take more than ${STEPS_OF_A_TOKEN} steps. Use fewer optional parts, alternatives that begin alike, or repetitions of such parts`,
    )
  }
}
