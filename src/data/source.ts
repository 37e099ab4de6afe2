import { hashText } from '../base/hash.js'

/** One thing to learn: text in, text out. Every source gives these. */
export interface Example {
  readonly input: string
  readonly target: string
  /** Other right answers: accepted in evaluation, never trained on. */
  readonly alternatives: readonly string[]
}

export const splitNames = ['train', 'validation', 'test'] as const
export type SplitName = (typeof splitNames)[number]

/**
 * The split that an input belongs to: 5% test, 1% validation, the rest train. It depends on nothing but the input's own
 * text, so adding data moves no example, and one input never stands in two splits.
 */
export function splitOf(input: string): SplitName {
  const percent = hashText(input) % 100
  if (percent < 5) return 'test'
  return percent === 5 ? 'validation' : 'train'
}

/** The examples of each split, in their order. */
export function splitExamples(examples: Iterable<Example>): Record<SplitName, Example[]> {
  const splits: Record<SplitName, Example[]> = { train: [], validation: [], test: [] }
  for (const example of examples) splits[splitOf(example.input)].push(example)
  return splits
}

/** One example for each different input: its first target, with the further ones as alternatives. For evaluation. */
export function mergeInputs(examples: Iterable<Example>): Example[] {
  const answers = new Map<string, Set<string>>()
  for (const { input, target, alternatives } of examples) {
    const known = answers.get(input) ?? new Set()
    for (const answer of [target, ...alternatives]) known.add(answer)
    answers.set(input, known)
  }
  return Array.from(answers, ([input, known]) => {
    const [target, ...alternatives] = known
    return { input, target, alternatives }
  })
}
