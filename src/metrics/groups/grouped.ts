import type { Figures, MetricFunction } from '../metric.js'
import { mean } from '../statistics.js'

/** Keys of the values that postprocessors such as `record` and `multirc` make. */
export interface GroupOptions {
  /** The key of a target's group. Default: `group`. */
  readonly groupKey?: string
  /** The key of the value to score, in targets and predictions. Default: `value`. */
  readonly valueKey?: string
}

type Keyed = Readonly<Record<string, unknown>>

/**
 * A metric of the first example of each group: T5's `deduplicate_metric`. ReCoRD needs it, since training has an
 * example for each right answer to a question, and evaluation should count each question once.
 */
export const deduplicateMetric =
  <T, P>(
    metric: MetricFunction<T, P>,
    { groupKey = 'group', valueKey = 'value' }: GroupOptions = {},
  ): MetricFunction<Keyed, Keyed> =>
  (targets, predictions) => {
    const firsts = new Map<string, number>()
    targets.slice(0, predictions.length).forEach((target, i) => {
      const group = keyOf(target[groupKey])
      if (!firsts.has(group)) firsts.set(group, i)
    })
    const kept = [...firsts.values()]
    return metric(
      kept.map(i => targets[i][valueKey] as T),
      kept.map(i => predictions[i][valueKey] as P),
    )
  }

/**
 * The mean over groups of a metric of each group: T5's `mean_group_metric`. With `returnSubgroupScores`, the figures of
 * group g are there too, as `g-accuracy`. The groups must be complete: a sample of examples gives other figures.
 */
export const meanGroupMetric =
  <T, P>(
    metric: MetricFunction<T, P>,
    {
      groupKey = 'group',
      valueKey = 'value',
      returnSubgroupScores = false,
    }: GroupOptions & { readonly returnSubgroupScores?: boolean } = {},
  ): MetricFunction<Keyed, Keyed> =>
  (targets, predictions) => {
    const groups = new Map<string, { name: string; targets: T[]; predictions: P[] }>()
    targets.slice(0, predictions.length).forEach((target, i) => {
      const key = keyOf(target[groupKey])
      const group = groups.get(key) ?? { name: nameOf(target[groupKey]), targets: [], predictions: [] }
      group.targets.push(target[valueKey] as T)
      group.predictions.push(predictions[i][valueKey] as P)
      groups.set(key, group)
    })
    const scores = new Map<string, number[]>()
    const add = (figure: string, value: number): void => void scores.set(figure, [...(scores.get(figure) ?? []), value])
    for (const group of groups.values()) {
      for (const [figure, value] of Object.entries(metric(group.targets, group.predictions))) {
        add(figure, value)
        if (returnSubgroupScores) add(`${group.name}-${figure}`, value)
      }
    }
    return Object.fromEntries(Array.from(scores, ([figure, values]) => [figure, mean(values)])) satisfies Figures
  }

/** Groups are compared by value: 1 and "1" are different groups, and [1, 2] and [1, 2] are the same. */
const keyOf = (group: unknown): string =>
  JSON.stringify(group, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)) ?? 'undefined'

const nameOf = (group: unknown): string => (Array.isArray(group) ? `(${group.map(String).join(', ')})` : String(group))
