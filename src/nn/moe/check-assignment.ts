import { check } from '../../base/errors.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { Assignment, Router } from './router.js'

/**
 * Throws a ShapeError unless each array of a router's assignment of `scores` [groups, tokens, experts] is there, with
 * the shape and dtype that `Assignment` says. A wrong shape that broadcasts would otherwise fail far away, in the
 * gradient. (Nothing checks the types of a router in `switchyard.config.ts`, which may leave arrays out.)
 */
export function checkAssignment({ name }: Router, assignment: Partial<Assignment>, scores: Tensor): void {
  const [groups, tokens, experts] = scores.shape
  const choices = assignment.expert?.shape[2] ?? 1
  const perChoice = [groups, tokens, choices]
  const expected = {
    expert: ['int32', perChoice, 'choices'],
    position: ['int32', perChoice, 'choices'],
    kept: ['bool', perChoice, 'choices'],
    gate: ['float32', perChoice, 'choices'],
    choice: ['float32', [groups, tokens, experts], 'experts'],
  } as const
  for (const [key, [dtype, shape, last]] of Object.entries(expected)) {
    const value = assignment[key as keyof Assignment]
    check(
      value?.dtype === dtype && value.shape.length === 3 && shape.every((size, i) => size === value.shape[i]),
      () =>
        `the router ${name}: assign must return ${key} as ${dtype} [groups, tokens, ${last}], here [${shape.join(', ')}]; got ${value ? `${value.dtype} [${value.shape.join(', ')}]` : 'nothing'}`,
    )
  }
}
