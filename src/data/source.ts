import { hashText } from '../base/hash.js'

/** One pair of texts to learn from. */
export interface Example {
  readonly input: string
  readonly target: string
  /** Other right answers. Evaluation accepts them; training does not use them. */
  readonly alternatives: readonly string[]
}

export const splitNames = ['train', 'validation', 'test'] as const
export type SplitName = (typeof splitNames)[number]

/**
 * The split that an input belongs to: 5% test, 1% validation, the rest train. It depends only on the input's own text,
 * so adding data moves no example to another split, and equal inputs are in the same split.
 */
export function splitOf(input: string): SplitName {
  const percent = hashText(input) % 100
  if (percent < 5) return 'test'
  return percent === 5 ? 'validation' : 'train'
}

/** The examples of each split, in their original order. */
export function splitExamples(examples: Iterable<Example>): Record<SplitName, Example[]> {
  const splits: Record<SplitName, Example[]> = { train: [], validation: [], test: [] }
  for (const example of examples) splits[splitOf(example.input)].push(example)
  return splits
}

/**
 * Merges examples with the same input, for evaluation: the first target stays the target, later targets become
 * alternatives.
 */
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
