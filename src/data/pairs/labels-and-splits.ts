import { formatCount } from '../../base/format.js'
import { splitNames } from '../example.js'
import type { SplitName } from '../example.js'
import type { PairsSettings } from './settings.js'

/** A message names at most this many values. */
const SHOWN = 10

/** Counts the values of a column that the settings give no meaning to. */
export class UnknownValues {
  private readonly known = new Map<string, { count: number; where: string }>()

  /** `problemOf` says what is wrong with a row that has such a value. */
  constructor(readonly problemOf: (value: string) => string) {}

  /** `where` is the place of the value: it is shown for the first row that has it. */
  add(value: string, where: string): void {
    const found = this.known.get(value)
    if (found === undefined) this.known.set(value, { count: 1, where })
    else found.count++
  }

  get values(): readonly string[] {
    return [...this.known.keys()]
  }

  /** The values with their counts, for a message: `"2" (40 rows, the first: pairs.tsv:3)`. */
  toString(): string {
    const shown = Array.from(this.known, ([value, { count, where }]) =>
      count === 1 ? `"${value}" (1 row: ${where})` : `"${value}" (${formatCount(count)} rows, the first: ${where})`,
    )
    const more = shown.length - SHOWN
    return [...shown.slice(0, SHOWN), ...(more > 0 ? [`${formatCount(more)} more values`] : [])].join(', ')
  }
}

/** Values of the target and of the split column that have no meaning. */
export interface Unknown {
  readonly labels: UnknownValues
  readonly splits: UnknownValues
}

export const unknownValuesOf = ({ labels }: PairsSettings): Unknown => ({
  labels: new UnknownValues(
    value => `there is no word for the label "${value}"; --labels has ${Object.keys(labels ?? {}).join(', ')}`,
  ),
  splits: new UnknownValues(value => `"${value}" is not the name of a split; expected train, validation or test`),
})

/** Says which values have no meaning, and what to do; empty if all have one. */
export function unknownProblems(path: string, { labels, splits }: Unknown, settings: PairsSettings): string[] {
  const problems: string[] = []
  if (labels.values.length > 0) {
    const all = [...Object.entries(settings.labels ?? {}), ...labels.values.slice(0, 3).map(value => [value, 'WORD'])]
    problems.push(
      `${path}: --labels has no word for ${labels}: add these values, as in --labels ${JSON.stringify(all.map(pair => pair.join('=')).join(','))}`,
    )
  }
  if (splits.values.length > 0)
    problems.push(
      `${path}: the column "${settings.split}" has values that name no split, ${splits}: write train, validation or test there`,
    )
  return problems
}

/** The word for a label; undefined if there is none. */
export function labelOf(target: string, labels: PairsSettings['labels']): string | undefined {
  if (labels === null) return target
  if (Object.hasOwn(labels, target)) return labels[target]
  return Object.values(labels).includes(target) ? target : undefined
}

const splitSynonyms: Readonly<Record<SplitName, readonly string[]>> = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'val', 'dev', 'development', 'eval'],
  test: ['test', 'testing'],
}

/** The split of a name; undefined if there is none. */
export const splitNamed = (text: string): SplitName | undefined =>
  splitNames.find(name => splitSynonyms[name].includes(text.toLowerCase()))
