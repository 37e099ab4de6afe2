/**
 * Tensor contraction: products of arrays with labelled axes, summed over labels. einsum, matmul and tensordot use it.
 */
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'

/** A value with a label for each axis. Axes of equal labels share one index. */
export interface Labelled {
  value: Value
  labels: readonly string[]
}

/**
 * The product of the operands, summed over all labels that are not in `output`. The result's axes are `output`. A label
 * that repeats within one operand selects its diagonal; an axis of length 1 matches any length of its label. Operands
 * are multiplied in pairs, the cheapest pair first, without materializing broadcast operands.
 */
export function contract(operands: readonly Labelled[], output: readonly string[]): Value {
  const sizes = labelSizes(operands)
  let terms = operands.map(o => dropStretched(diagonal(o), sizes))
  while (terms.length > 1) {
    const pair = cheapestPair(terms, output)
    const rest = terms.filter((_, i) => !pair.includes(i))
    terms = [...rest, multiply(terms[pair[0]], terms[pair[1]], [...output, ...rest.flatMap(t => t.labels)])]
  }
  return arrange(sumOut(terms[0], output), output)
}

function labelSizes(operands: readonly Labelled[]): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const { value, labels } of operands) {
    labels.forEach((label, i) => {
      const [known, size] = [sizes.get(label) ?? 1, value.shape[i]]
      check(
        known === 1 || size === 1 || known === size,
        () => `the index ${label} has length ${known} in one place and ${size} in another`,
      )
      if (known === 1) sizes.set(label, size)
    })
  }
  return sizes
}

/** The axes in the order of `labels`. */
const arrange = (t: Labelled, labels: readonly string[]): Value =>
  ops.transpose(
    t.value,
    labels.map(l => t.labels.indexOf(l)),
  )

/** Replaces two axes of one label by their diagonal: every (n+1)-th element of the flattened [n, n]. */
function diagonal(t: Labelled): Labelled {
  const j = t.labels.findIndex((label, i) => t.labels.indexOf(label) < i)
  if (j < 0) return t
  const i = t.labels.indexOf(t.labels[j])
  const n = t.value.shape[i]
  check(n === t.value.shape[j], () => `the repeated index ${t.labels[j]} has lengths ${n} and ${t.value.shape[j]}`)
  const others = ops.range(t.labels.length).filter(axis => axis !== i && axis !== j)
  const lengths = others.map(axis => t.value.shape[axis])
  const flat = ops.reshape(ops.transpose(t.value, [...others, i, j]), [...lengths, n * n])
  const value = ops.slice(
    flat,
    flat.shape.map(() => 0),
    flat.shape,
    [...lengths.map(() => 1), n + 1],
  )
  return diagonal({ value, labels: [...others, i].map(axis => t.labels[axis]) })
}

/** Drops axes of length 1 whose label has a greater length in another operand. */
function dropStretched({ value, labels }: Labelled, sizes: ReadonlyMap<string, number>): Labelled {
  const kept = ops.range(labels.length).filter(i => value.shape[i] === sizes.get(labels[i]))
  return {
    value: ops.reshape(
      value,
      kept.map(i => value.shape[i]),
    ),
    labels: kept.map(i => labels[i]),
  }
}

function sumOut({ value, labels }: Labelled, kept: readonly string[]): Labelled {
  const axes = ops.range(labels.length).filter(i => !kept.includes(labels[i]))
  return { value: ops.reduceSum(value, axes), labels: labels.filter(l => kept.includes(l)) }
}

/** The pair whose product takes the fewest multiplications; of equal pairs, the one with the smallest result. */
function cheapestPair(terms: readonly Labelled[], output: readonly string[]): [number, number] {
  let best: [number, number] = [0, 1]
  let least = Infinity
  for (let j = 1; terms.length > 2 && j < terms.length; j++) {
    for (let i = 0; i < j; i++) {
      const kept = new Set([...output, ...terms.filter((_, n) => n !== i && n !== j).flatMap(t => t.labels)])
      const sizes = [...labelSizes([terms[i], terms[j]])]
      const multiplications = sizeOf(sizes.map(([, size]) => size))
      const left = sizeOf(sizes.map(([label, size]) => (kept.has(label) ? size : 1)))
      const cost = multiplications + left - terms[i].value.size - terms[j].value.size
      if (cost < least) [best, least] = [[i, j], cost]
    }
  }
  return best
}

/** The product of two terms, summed over the labels that neither the output nor another term needs. */
function multiply(left: Labelled, right: Labelled, kept: readonly string[]): Labelled {
  const x = sumOut(left, [...kept, ...right.labels])
  const y = sumOut(right, [...kept, ...left.labels])
  const shared = x.labels.filter(l => y.labels.includes(l))
  const [batch, summed] = [shared.filter(l => kept.includes(l)), shared.filter(l => !kept.includes(l))]
  if (batch.length === x.labels.length && batch.length === y.labels.length) {
    return { value: ops.mul(x.value, arrange(y, x.labels)), labels: x.labels } // nothing is summed: element by element
  }
  const axes = (t: Labelled, labels: readonly string[]): number[] => labels.map(l => t.labels.indexOf(l))
  const value = ops.dotGeneral(x.value, y.value, {
    contract: [axes(x, summed), axes(y, summed)],
    batch: [axes(x, batch), axes(y, batch)],
  })
  const free = (t: Labelled): string[] => t.labels.filter(l => !shared.includes(l))
  return { value, labels: [...batch, ...free(x), ...free(y)] }
}
