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

  private visit(token: number, seen: (layer: number, expert: number) => void): void {
    for (let layer = 0; layer < this.layers; layer++)
      for (let choice = 0; choice < this.choices; choice++) {
        const expert = this.data[(layer * this.tokens + token) * this.choices + choice]
        if (expert < this.numExperts) seen(layer, expert)
      }
  }
}
