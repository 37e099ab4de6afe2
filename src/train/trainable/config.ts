/** Scales the learning rate of some parameters. */
export interface RateRule {
  /** A pattern of paths: see train/patterns.ts. */
  path: string
  /** The learning rate of the matched parameters is the schedule's times this. */
  factor: number
}

/** Low-rank adapters (LoRA, Hu et al. 2021): the only parameters that are trained then. */
export interface LoraConfig {
  /** The width of an adapter; 0: there are none, and the model's own parameters are trained. */
  rank: number
  /** An adapter's product is multiplied by alpha / rank. */
  alpha: number
  /** The kernels that get an adapter, as patterns: `query`, `value`, `expert/wi` ... */
  targets: string[]
}

/** Which parameters a run trains, and how fast: part of `TrainConfig`. */
export interface TrainableConfig {
  /**
   * Patterns of the paths of parameters that keep their values. They have no optimizer state, and no gradient is
   * computed for them. The last pattern that matches a path decides; one that begins with `!` exempts: `*`, `!router`.
   */
  freeze: string[]
  /** The last rule that matches a path decides. */
  rates: RateRule[]
  lora: LoraConfig
}

export const trainableDefaults: TrainableConfig = {
  freeze: [],
  rates: [],
  lora: { rank: 0, alpha: 16, targets: ['query', 'value'] },
}

/** Reads a rule in text form: `PATTERN=FACTOR`. Undefined if the text is something else. */
export function parseRate(text: string): RateRule | undefined {
  const [path, factor, ...rest] = text.split('=').map(part => part.trim())
  if (!path || !factor || rest.length > 0 || !(Number(factor) > 0)) return undefined
  return { path, factor: Number(factor) }
}
