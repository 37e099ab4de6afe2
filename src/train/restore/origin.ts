/** Where the first weights of a fine-tuned run came from. Each of the run's checkpoints holds it, as `from`. */
export interface Origin {
  /** The path or the hub name as it was given. */
  path: string
  /** The storage format: `huggingface`, `t5x`, or `native` for a run and for weights that `convert` wrote. */
  container: string
  /** How many training steps made the weights, if they record it; otherwise 0. */
  step: number
  /**
   * `fresh`: the optimizer begins without memory of earlier gradients. `restored`: it goes on with the state of the
   * run that the weights are of, and counts its updates from `step`.
   */
  optimizer: 'fresh' | 'restored'
  /** Exceptions from restoring each parameter from the one of the same path. The last rule that matches decides. */
  rules: RestoreRule[]
}

/** Restores some parameters from others, or not at all. */
export interface RestoreRule {
  /** The parameters of the new run that the rule is for: a pattern, see train/patterns.ts. */
  path: string
  /**
   * The names in the place of the matched ones that make the path to restore from; each `*` stands for what the
   * pattern's `*` at the same place matched. null: the parameters are initialised instead of restored.
   */
  from: string | null
}

/** The word for null in the text form of a rule. */
const SKIP = 'skip'

/** Reads a rule in text form: `PATTERN=skip`, or `PATTERN=NAMES`. Undefined if the text is neither. */
export function parseRule(text: string): RestoreRule | undefined {
  const [path, from, ...rest] = text.split('=').map(part => part.trim())
  if (!path || !from || rest.length > 0) return undefined
  return { path, from: from === SKIP ? null : from }
}

/** A rule in text form: the inverse of `parseRule`. */
export const ruleText = ({ path, from }: RestoreRule): string => `${path}=${from ?? SKIP}`
