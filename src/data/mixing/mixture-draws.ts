import { ConfigError } from '../../base/errors.js'
import { TaskChoices } from './task-choices.js'

/** One draw of a mixture: example number `example` of the task with index `task`. */
export interface Draw {
  readonly task: number
  readonly example: number
}

/** A point in the sequence of draws, from which the draws that follow can be had at once. */
export interface DrawState {
  /** The number of draws so far. */
  readonly draw: number
  /** How many of them were from each task. */
  readonly counts: readonly number[]
}

/** The number of draws between two points whose counts are stored. */
const BLOCK = 1024

/**
 * The draws of a mixture, in any order. The task of a draw depends only on its index. Which example of the task it is
 * depends on how often the task was drawn before, so the counts before each block of 1,024 draws are kept; they grow as
 * far as draws are asked for. A `start` takes the place of the draws before it: a resumed run computes none of them.
 */
export class MixtureDraws {
  private readonly choices: TaskChoices
  /** `counts[b]` are the counts before block b, which begins b blocks after `start`. */
  private readonly counts: (readonly number[])[]
  private latest: { readonly block: number; readonly draws: readonly Draw[] } | undefined

  constructor(
    rates: readonly number[],
    seed?: number | bigint,
    private readonly start: DrawState = { draw: 0, counts: rates.map(() => 0) },
  ) {
    this.choices = new TaskChoices(rates, seed)
    const sum = start.counts.reduce((total, count) => total + count, 0)
    if (start.counts.length !== rates.length || sum !== start.draw || start.counts.some(count => count < 0))
      throw new ConfigError(
        `not a state of this mixture of ${rates.length} tasks: draw ${start.draw}, counts ${start.counts.join(', ')}`,
      )
    this.counts = [start.counts]
  }

  /** Draw `index`, which is not before `start`. */
  get(index: number): Draw {
    const offset = index - this.start.draw
    if (!(offset >= 0)) throw new RangeError(`draw ${index} is before the start of these draws, ${this.start.draw}`)
    return this.block(Math.floor(offset / BLOCK))[offset % BLOCK]
  }

  /** The state before draw `index`. */
  state(index: number): DrawState {
    const offset = index - this.start.draw
    const block = Math.floor(offset / BLOCK)
    this.countTo(block)
    return { draw: index, counts: afterDraws(this.counts[block], this.block(block).slice(0, offset % BLOCK)) }
  }

  private block(block: number): readonly Draw[] {
    if (this.latest?.block !== block) {
      this.countTo(block)
      this.latest = { block, draws: this.draw(block) }
    }
    return this.latest.draws
  }

  private countTo(block: number): void {
    while (this.counts.length <= block) {
      const last = this.counts.length - 1
      this.counts.push(afterDraws(this.counts[last], this.block(last)))
    }
  }

  private draw(block: number): Draw[] {
    const counts = [...this.counts[block]]
    const tasks = this.choices.range(this.start.draw + block * BLOCK, BLOCK)
    return Array.from(tasks, task => ({ task, example: counts[task]++ }))
  }
}

/** The counts after draws that come next. */
function afterDraws(counts: readonly number[], draws: readonly Draw[]): number[] {
  const after = [...counts]
  for (const { task, example } of draws) after[task] = example + 1
  return after
}
