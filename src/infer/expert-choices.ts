import { concatenateHost } from '../base/host-tensor.js'
import { hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { StackName } from '../model/config.js'

/** The numbers of the experts that a token met: those of each sparse layer of a stack, in order. */
export type TokenExperts = readonly (readonly number[])[]

/** The experts that tokens met, as `chosenExperts` gives them, on the host. */
export class ExpertChoices {
  private readonly layers: number
  private readonly tokens: number
  private readonly choices: number

  /** `shape`: [layers, ..., choices], with the tokens' axes in the middle. */
  constructor(
    private readonly data: Int32Array,
    shape: readonly number[],
    private readonly numExperts: number,
  ) {
    this.layers = shape[0]
    this.choices = shape[shape.length - 1]
    this.tokens = data.length / (this.layers * this.choices)
  }

  /** The experts of one token. */
  of(token: number): TokenExperts {
    const experts = Array.from({ length: this.layers }, (): number[] => [])
    this.visit(token, (layer, expert) => experts[layer].push(expert))
    return experts
  }

  /** Adds 1 to `counts[layer][expert]` for each expert of a token. */
  count(token: number, counts: readonly number[][]): void {
    this.visit(token, (layer, expert) => counts[layer][expert]++)
  }

  /**
   * The experts of tokens by layer: for each sparse layer, the choices of the first token, then those of the next one.
   * -1: no expert took this choice.
   */
  byLayer(tokens: readonly number[]): number[][] {
    const { data, choices, numExperts } = this
    return Array.from({ length: this.layers }, (_, layer) =>
      tokens.flatMap(token => {
        const first = (layer * this.tokens + token) * choices
        return Array.from(data.subarray(first, first + choices), expert => (expert < numExperts ? expert : -1))
      }),
    )
  }

  private visit(token: number, seen: (layer: number, expert: number) => void): void {
    for (let layer = 0; layer < this.layers; layer++)
      for (let choice = 0; choice < this.choices; choice++) {
        const expert = this.data[(layer * this.tokens + token) * this.choices + choice]
        if (expert < this.numExperts) seen(layer, expert)
      }
  }
}

/**
 * Reads what `chosenExperts` made, [layers, batch, length, choices]: for each list of layers one array, or several of
 * parts of the length. null: no layer is sparse.
 */
export async function readChoices(
  layers: readonly (readonly Tensor[])[],
  numExperts: number,
): Promise<ExpertChoices | null> {
  if (layers.length === 0) return null
  const wholes = await Promise.all(
    layers.map(async parts => concatenateHost(await Promise.all(parts.map(hostView)), 2)),
  )
  const { data, shape } = concatenateHost(wholes, 0)
  return new ExpertChoices(data as Int32Array, shape, numExperts)
}

/** One pass of a stack of layers, an encoding or a step of the decoder, as a run makes it. */
export interface RoutedPass {
  readonly stack: StackName
  /** The ids of the tokens of all requests in the pass, without padding. */
  readonly tokens: readonly number[]
  /** See `ExpertChoices.byLayer`. */
  readonly experts: readonly (readonly number[])[]
}

/** Called after each pass in which experts were chosen. The run goes on when it resolves. */
export type PassObserver = (pass: RoutedPass) => void | Promise<void>
