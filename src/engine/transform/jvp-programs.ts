/**
 * jvp rules of the primitives that carry programs: the same primitive, with programs that compute tangents too. In each
 * rule `reached` is the mask of the outputs that have a tangent.
 */
import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { bind, evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { isPresent, present, scanParts, select, settle, spread } from './masks.js'
import type { Mask } from './masks.js'
import type { JvpEval, JvpRule, Tangent } from './rules.js'

const avalsOf = (values: readonly Value[]): Aval[] => values.map(v => v.aval)

/** The tangents of the outputs in the mask, with arrays of zeros for null. */
const denseTangents = (outputs: readonly Value[], tangents: readonly Tangent[], mask: Mask): Value[] =>
  select(
    outputs.map((y, i) => tangents[i] ?? ops.zerosLike(y)),
    mask,
  )

/** A function that takes the next `n` values from an iterator. */
const taker =
  (next: Iterator<Value>) =>
  (n: number): Value[] =>
    ops.range(n).map(() => next.next().value as Value)

/** A `call` is inlined. One with `remat` stays a call, because the split of its derivative needs to find it. */
export const call =
  (jvpEval: JvpEval): JvpRule<'call'> =>
  (primals, tangents, params) => {
    if (!params.remat) return jvpEval(params.program, primals, tangents)
    const active = isPresent(tangents)
    const n = primals.length
    let reached: boolean[] = []
    const program = traceClosed(avalsOf([...primals, ...present(tangents)]), v => {
      const [outputs, dots] = jvpEval(params.program, v.slice(0, n), spread(active, v.slice(n)))
      reached = isPresent(dots)
      return [...outputs, ...present(dots)]
    })
    const results = bind('call', [...primals, ...present(tangents)], { ...params, program })
    return [results.slice(0, reached.length), spread(reached, results.slice(reached.length))]
  }

/** A carry has a tangent if its initial value has one, or if the body gives it one: see `settle`. */
export const scan =
  (jvpEval: JvpEval): JvpRule<'scan'> =>
  (primals, tangents, params) => {
    const { body, numCarry } = params
    const [consts, carry, rows] = scanParts(primals, params)
    const [constDots, carryDots, rowDots] = scanParts(tangents, params)
    const [constTypes, carryTypes, rowTypes] = scanParts(avalsOf(primals), params)
    const rowType = ({ dtype, shape }: Aval): Aval => ({ dtype, shape: shape.slice(1) })
    const attempt = (carried: Mask) => {
      const groups = [
        { types: constTypes, active: isPresent(constDots) },
        { types: carryTypes, active: carried },
        { types: rowTypes.map(rowType), active: isPresent(rowDots) },
      ]
      let reached: boolean[] = []
      // (consts, their tangents, carry, its tangents, rows, their tangents) -> (carry, its tangents, ys, their
      // tangents)
      const program = traceClosed(
        groups.flatMap(({ types, active }) => [...types, ...select(types, active)]),
        v => {
          const next = v.values()
          const take = taker(next)
          const primalsIn: Value[] = []
          const dotsIn: Tangent[] = []
          for (const { types, active } of groups) {
            primalsIn.push(...take(types.length))
            dotsIn.push(...spread(active, take(active.filter(Boolean).length)))
          }
          const [outputs, dots] = jvpEval(body, primalsIn, dotsIn)
          reached = isPresent(dots)
          return [
            ...outputs.slice(0, numCarry),
            ...denseTangents(outputs.slice(0, numCarry), dots, carried),
            ...outputs.slice(numCarry),
            ...present(dots.slice(numCarry)),
          ]
        },
      )
      return { program, reached, after: carried.map((c, i) => c || reached[i]) }
    }
    const { carried, program, reached } = settle(isPresent(carryDots), attempt)
    const take = taker(
      bind(
        'scan',
        [
          ...consts,
          ...present(constDots),
          ...carry,
          ...denseTangents(carry, carryDots, carried),
          ...rows,
          ...present(rowDots),
        ],
        {
          ...params,
          body: program,
          numConsts: consts.length + present(constDots).length,
          numCarry: numCarry + carried.filter(Boolean).length,
        },
      ).values(),
    )
    const takeAt = (mask: Mask): Tangent[] => spread(mask, take(mask.filter(Boolean).length))
    const lastCarry = take(numCarry)
    const lastDots = takeAt(carried)
    const ys = take(body.outputs.length - numCarry)
    return [
      [...lastCarry, ...ys],
      [...lastDots, ...takeAt(reached.slice(numCarry))],
    ]
  }

/** As `scan`. The condition reads the primal carry only. */
export const whileLoop =
  (jvpEval: JvpEval): JvpRule<'while'> =>
  (primals, tangents, { condition, body, numConditionConsts: n, numBodyConsts: m }) => {
    const [conditionConsts, bodyConsts, carry] = [primals.slice(0, n), primals.slice(n, n + m), primals.slice(n + m)]
    const [constDots, carryDots] = [tangents.slice(n, n + m), tangents.slice(n + m)]
    const attempt = (carried: Mask) => {
      let after: boolean[] = []
      const program = traceClosed(
        avalsOf([...bodyConsts, ...present(constDots), ...carry, ...select(carry, carried)]),
        v => {
          const take = taker(v.values())
          const constsIn = take(m)
          const constDotsIn = spread(isPresent(constDots), take(present(constDots).length))
          const carryIn = take(carry.length)
          const carryDotsIn = spread(carried, take(carried.filter(Boolean).length))
          const [outputs, dots] = jvpEval(body, [...constsIn, ...carryIn], [...constDotsIn, ...carryDotsIn])
          after = carried.map((c, i) => c || dots[i] !== null)
          return [...outputs, ...denseTangents(outputs, dots, carried)]
        },
      )
      return { program, after }
    }
    const { carried, program } = settle(isPresent(carryDots), attempt)
    const start = [...carry, ...denseTangents(carry, carryDots, carried)]
    const test = traceClosed(avalsOf([...conditionConsts, ...start]), v =>
      evalProgram(condition, v.slice(0, n + carry.length)),
    )
    const results = bind('while', [...conditionConsts, ...bodyConsts, ...present(constDots), ...start], {
      condition: test,
      body: program,
      numConditionConsts: n,
      numBodyConsts: m + present(constDots).length,
    })
    return [results.slice(0, carry.length), spread(carried, results.slice(carry.length))]
  }

/** An output has a tangent if any branch gives it one; branches that do not return zeros for it. */
export const cond =
  (jvpEval: JvpEval): JvpRule<'cond'> =>
  ([index, ...operands], [, ...tangents], { branches }) => {
    const active = isPresent(tangents)
    const types = avalsOf([...operands, ...present(tangents)])
    const n = operands.length
    const reached = branches[0].outputs.map(() => false)
    // `reached` is complete only after all branches have been traced. So they are traced twice: first to find
    // `reached`, then with a tangent for every output in it.
    const traceBranches = (findReached: boolean) =>
      branches.map(branch =>
        traceClosed(types, v => {
          const [outputs, dots] = jvpEval(branch, v.slice(0, n), spread(active, v.slice(n)))
          if (findReached)
            isPresent(dots).forEach((a, i) => {
              reached[i] ||= a
            })
          return [...outputs, ...denseTangents(outputs, dots, reached)]
        }),
      )
    traceBranches(true)
    const results = bind('cond', [index, ...operands, ...present(tangents)], { branches: traceBranches(false) })
    return [results.slice(0, reached.length), spread(reached, results.slice(reached.length))]
  }
