import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { HASH_SEED, hashStep, mix32 } from '../../base/hash.js'
import type { TokenExample } from '../features.js'
import { TaskChoices } from '../mixing/task-choices.js'
import type { ExampleStream, Reload, Ticket } from './example-stream.js'

const stateSchema = z.strictObject({
  draws: z.int().min(0),
  members: z.array(z.record(z.string(), z.unknown())),
})

/** The choices of this many draws are computed together. */
const BLOCK = 1024

/**
 * The examples of several streams. Which one the next example comes from is drawn by the rates, as SeqIO's mixtures
 * draw it; a member that comes to its end begins its next epoch. A ticket is the member's index and the member's
 * ticket.
 */
export class MixedStream implements ExampleStream {
  readonly fingerprint: number
  private readonly choices: TaskChoices
  private draws = 0
  private block: { readonly first: number; readonly members: Uint32Array } = { first: 0, members: new Uint32Array(0) }

  /** `rates[i]` is the rate of `members[i]`. */
  constructor(
    readonly members: readonly ExampleStream[],
    readonly rates: readonly number[],
    readonly seed: number,
    readonly reload?: Reload,
  ) {
    this.choices = new TaskChoices(rates, seed)
    this.fingerprint = mix32(
      members.reduce((hash, { fingerprint }) => hashStep(hash, fingerprint), hashStep(HASH_SEED, members.length)),
    )
  }

  get skipped(): number {
    return sum(this.members.map(member => member.skipped))
  }

  get truncated(): number {
    return sum(this.members.map(member => member.truncated))
  }

  /** The epochs of the member that is in its first epoch longest. */
  get epochs(): number {
    return Math.min(...this.members.map(member => member.epochs))
  }

  draw(): Ticket {
    const member = this.choose(this.draws++)
    const ticket = this.members[member].draw()
    return typeof ticket === 'number' ? [member, ticket] : [member, ...ticket]
  }

  get(ticket: Ticket): TokenExample {
    const [member, own] = this.split(ticket)
    return member.get(own)
  }

  check(ticket: Ticket): void {
    const [member, own] = this.split(ticket)
    member.check(own)
  }

  state(): z.infer<typeof stateSchema> {
    return { draws: this.draws, members: this.members.map(member => ({ ...member.state() })) }
  }

  restore(saved: Readonly<Record<string, unknown>>): void {
    const result = stateSchema.safeParse(saved)
    if (!result.success) throw new ConfigError(`not the state of a mixture: ${z.prettifyError(result.error)}`)
    const { draws, members } = result.data
    if (members.length !== this.members.length)
      throw new ConfigError(`not the state of this mixture: it has ${members.length} tasks, not ${this.members.length}`)
    this.members.forEach((member, i) => member.restore(members[i]))
    this.draws = draws
  }

  private choose(draw: number): number {
    const at = draw - this.block.first
    if (at >= 0 && at < this.block.members.length) return this.block.members[at]
    const first = draw - (draw % BLOCK)
    this.block = { first, members: this.choices.range(first, BLOCK) }
    return this.block.members[draw - first]
  }

  private split(ticket: Ticket): [member: ExampleStream, own: Ticket] {
    const [index, ...own] = typeof ticket === 'number' ? [] : ticket
    const member = index === undefined ? undefined : this.members[index]
    if (member === undefined || own.length === 0)
      throw new ConfigError(`not the state of this mixture: ${JSON.stringify(ticket)} is no example of its tasks`)
    return [member, own.length === 1 ? own[0] : own]
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
