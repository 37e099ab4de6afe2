import { countOf, formatCount } from '../base/format.js'
import { hashText } from '../base/hash.js'
import type { Fields } from './preprocessor.js'

/** One pair of texts to learn from. */
export interface Example {
  readonly input: string
  readonly target: string
  /** Other right answers. Evaluation accepts them; training does not use them. */
  readonly alternatives: readonly string[]
  /** The example as the task's preprocessors made it, for the task's postprocessor. */
  readonly fields?: Fields
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

/**
 * Says how many of `all` examples a hash keeps from training, for a user; empty if it keeps none because the data has
 * these splits. `how` says what the hash is of, and how to choose otherwise.
 */
export function keptByHash(
  all: number,
  kept: Readonly<Partial<Record<'validation' | 'test', number>>>,
  how: string,
): string[] {
  const counted = (count: number): string => `${formatCount(count)} (${((100 * count) / Math.max(1, all)).toFixed(1)}%)`
  const parts = [
    ...(kept.test === undefined ? [] : [`${counted(kept.test)} for the test`]),
    ...(kept.validation === undefined ? [] : [`${counted(kept.validation)} for validation`]),
  ]
  return parts.length === 0 ? [] : [`of ${countOf(all, 'example')}, ${parts.join(' and ')} are kept, ${how}`]
}

/** The examples of each split, in their original order. */
export function splitExamples(examples: Iterable<Example>): Record<SplitName, Example[]> {
  const splits: Record<SplitName, Example[]> = { train: [], validation: [], test: [] }
  for (const example of examples) splits[splitOf(example.input)].push(example)
  return splits
}

/**
 * Merges examples with the same input, for evaluation: the first target stays the target, later targets become
 * alternatives. Other fields are those of the first example.
 */
export function mergeInputs(examples: Iterable<Example>): Example[] {
  const merged = new Map<string, { first: Example; answers: Set<string> }>()
  for (const example of examples) {
    const { answers } = merged.get(example.input) ?? { answers: new Set() }
    for (const answer of [example.target, ...example.alternatives]) answers.add(answer)
    if (!merged.has(example.input)) merged.set(example.input, { first: example, answers })
  }
  return Array.from(merged.values(), ({ first, answers }) => {
    const [target, ...alternatives] = answers
    return { ...first, target, alternatives }
  })
}
