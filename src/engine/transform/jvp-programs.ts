/** Forward mode of the primitives that carry programs: the same primitive, its programs carrying tangents along. */
import * as ops from '../program/ops.js'
import { bind, evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import type { JvpEval, JvpRule, Tangent } from './rules.js'

const isActive = (tangents: readonly Tangent[]): boolean[] => tangents.map(t => t !== null)
const present = (tangents: readonly Tangent[]): Value[] => tangents.filter(t => t !== null)
const dense = (t: Tangent, x: Value): Value => t ?? ops.zerosLike(x)
const some = <T>(list: readonly T[], keep: readonly boolean[]): T[] => list.filter((_, i) => keep[i])

/** Puts the tangents of the active values back at their places, taking them from an iterator. */
const place = (active: readonly boolean[], from: Iterator<Value>): Tangent[] =>
  active.map(a => (a ? (from.next().value as Value) : null))

/** The tangents of a list of outputs that is partly active, zeros written out. */
const tangentsOf = (outputs: readonly Value[], tangents: readonly Tangent[], active: readonly boolean[]): Value[] =>
  some(
    outputs.map((y, i) => dense(tangents[i], y)),
    active,
  )

/** Inlined; a rematerialized call stays one, for the linearization to find. */
export const call =
  (jvpEval: JvpEval): JvpRule<'call'> =>
  (primals, tangents, params) => {
    if (!params.remat) return jvpEval(params.program, primals, tangents)
    const active = isActive(tangents)
    const n = primals.length
    let reached: boolean[] = []
    const program = traceClosed(
      [...primals, ...present(tangents)].map(v => v.aval),
      v => {
        const [outputs, dots] = jvpEval(params.program, v.slice(0, n), place(active, v.slice(n).values()))
        reached = isActive(dots)
        return [...outputs, ...present(dots)]
      },
    )
    const results = bind('call', [...primals, ...present(tangents)], { ...params, program })
    const outputs = results.slice(0, reached.length)
    return [outputs, place(reached, results.slice(reached.length).values())]
  }

/** A carry has a tangent if it enters with one, or if the body gives it one: found by repetition. */
export const scan =
  (jvpEval: JvpEval): JvpRule<'scan'> =>
  (primals, tangents, params) => {
    const { body, numConsts, numCarry } = params
    const parts = <T>(list: readonly T[]): [T[], T[], T[]] => [
      list.slice(0, numConsts),
      list.slice(numConsts, numConsts + numCarry),
      list.slice(numConsts + numCarry),
    ]
    const [consts, carry, xs] = parts(primals)
    const [constDots, carryDots, xDots] = parts(tangents)
    const bodyTypes = body.inputs.map(v => v.aval)
    const attempt = (carried: boolean[]) => {
      const active = [...isActive(constDots), ...carried, ...isActive(xDots)]
      const [c, k, x] = parts(bodyTypes)
      const [ca, ka, xa] = parts(active)
      let reached: boolean[] = []
      // (consts, their tangents, carry, its tangents, rows, their tangents) -> (carry, its tangents, rows, their tangents)
      const program = traceClosed([...c, ...some(c, ca), ...k, ...some(k, ka), ...x, ...some(x, xa)], v => {
        const next = v.values()
        const take = (n: number): Value[] => ops.range(n).map(() => next.next().value as Value)
        const primalsIn: Value[] = []
        const dotsIn: Tangent[] = []
        for (const group of [ca, ka, xa]) {
          primalsIn.push(...take(group.length))
          dotsIn.push(...place(group, next))
        }
        const [outputs, dots] = jvpEval(body, primalsIn, dotsIn)
        reached = isActive(dots).map((a, i) => a || (i < numCarry && carried[i]))
        return [
          ...outputs.slice(0, numCarry),
          ...tangentsOf(outputs.slice(0, numCarry), dots, carried),
          ...outputs.slice(numCarry),
          ...present(dots.slice(numCarry)),
        ]
      })
      return { program, reached }
    }
    const settle = (
      carried: boolean[],
    ): { carried: boolean[]; program: ReturnType<typeof attempt>['program']; reached: boolean[] } => {
      const tried = attempt(carried)
      const next = tried.reached.slice(0, numCarry)
      return next.every((a, i) => a === carried[i]) ? { carried, ...tried } : settle(next)
    }
    const { carried, program, reached } = settle(isActive(carryDots))
    const results = bind(
      'scan',
      [...consts, ...present(constDots), ...carry, ...tangentsOf(carry, carryDots, carried), ...xs, ...present(xDots)],
      {
        ...params,
        body: program,
        numConsts: numConsts + present(constDots).length,
        numCarry: numCarry + carried.filter(Boolean).length,
      },
    ).values()
    const take = (n: number): Value[] => ops.range(n).map(() => results.next().value as Value)
    const lastCarry = take(numCarry)
    const lastDots = place(carried, results)
    const ys = take(body.outputs.length - numCarry)
    return [
      [...lastCarry, ...ys],
      [...lastDots, ...place(reached.slice(numCarry), results)],
    ]
  }

/** As scan; the condition sees no tangents. */
export const whileLoop =
  (jvpEval: JvpEval): JvpRule<'while'> =>
  (primals, tangents, { condition, body, numConditionConsts: n, numBodyConsts: m }) => {
    const [conditionConsts, bodyConsts, carry] = [primals.slice(0, n), primals.slice(n, n + m), primals.slice(n + m)]
    const [constDots, carryDots] = [tangents.slice(n, n + m), tangents.slice(n + m)]
    const types = (values: readonly Value[]): Value['aval'][] => values.map(v => v.aval)
    const attempt = (carried: boolean[]) => {
      let reached: boolean[] = []
      const program = traceClosed(
        types([...bodyConsts, ...present(constDots), ...carry, ...some(carry, carried)]),
        v => {
          const next = v.values()
          const take = (count: number): Value[] => ops.range(count).map(() => next.next().value as Value)
          const constsIn = take(m)
          const constDotsIn = place(isActive(constDots), next)
          const carryIn = take(carry.length)
          const [outputs, dots] = jvpEval(body, [...constsIn, ...carryIn], [...constDotsIn, ...place(carried, next)])
          reached = isActive(dots).map((a, i) => a || carried[i])
          return [...outputs, ...tangentsOf(outputs, dots, carried)]
        },
      )
      return { program, reached }
    }
    const settle = (carried: boolean[]): { carried: boolean[]; program: ReturnType<typeof attempt>['program'] } => {
      const { program, reached } = attempt(carried)
      return reached.every((a, i) => a === carried[i]) ? { carried, program } : settle(reached)
    }
    const { carried, program } = settle(isActive(carryDots))
    const start = [...carry, ...tangentsOf(carry, carryDots, carried)]
    const test = traceClosed(types([...conditionConsts, ...start]), v =>
      evalProgram(condition, v.slice(0, n + carry.length)),
    )
    const results = bind('while', [...conditionConsts, ...bodyConsts, ...present(constDots), ...start], {
      condition: test,
      body: program,
      numConditionConsts: n,
      numBodyConsts: m + present(constDots).length,
    })
    return [results.slice(0, carry.length), place(carried, results.slice(carry.length).values())]
  }

/** An output has a tangent if any branch gives it one; the other branches give zeros. */
export const cond =
  (jvpEval: JvpEval): JvpRule<'cond'> =>
  ([index, ...operands], [, ...tangents], { branches }) => {
    const active = isActive(tangents)
    const types = [...operands, ...present(tangents)].map(v => v.aval)
    const n = operands.length
    const reached = branches[0].outputs.map(() => false)
    const derive = (whole: boolean) =>
      branches.map(branch =>
        traceClosed(types, v => {
          const [outputs, dots] = jvpEval(branch, v.slice(0, n), place(active, v.slice(n).values()))
          if (!whole)
            isActive(dots).forEach((a, i) => {
              reached[i] ||= a
            })
          return [...outputs, ...tangentsOf(outputs, dots, reached)]
        }),
      )
    derive(false)
    const results = bind('cond', [index, ...operands, ...present(tangents)], { branches: derive(true) })
    return [results.slice(0, reached.length), place(reached, results.slice(reached.length).values())]
  }
