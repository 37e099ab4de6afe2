import { check } from '../../../base/errors.js'
import { aval, formatAval, sameAval } from '../aval.js'
import type { Aval } from '../aval.js'
import type { Program } from '../program.js'
import type { ShapeRules } from './rule.js'

const outputTypes = (program: Program): Aval[] => program.outputs.map(o => o.aval)

/** Throws a ShapeError unless the operands have the types of the program's inputs. */
function checkInputs(program: Program, inputs: readonly Aval[]): void {
  check(
    program.inputs.length === inputs.length,
    () => `the program takes ${program.inputs.length} inputs, got ${inputs.length}`,
  )
  program.inputs.forEach((v, i) =>
    check(sameAval(v.aval, inputs[i]), () => `input ${i} must be ${formatAval(v.aval)}, got ${formatAval(inputs[i])}`),
  )
}

/** Throws a ShapeError unless a loop's body returns its carry (the first of its outputs) in the types that it takes. */
const checkCarry = (carry: readonly Aval[], outputs: readonly Aval[]): void =>
  carry.forEach((c, i) =>
    check(
      sameAval(c, outputs[i]),
      () => `the carry ${i} enters as ${formatAval(c)} and leaves as ${formatAval(outputs[i])}`,
    ),
  )

/** A program applied once to the operands. */
const applied = (inputs: readonly Aval[], { program }: { program: Program }): Aval[] => {
  checkInputs(program, inputs)
  return outputTypes(program)
}

/** The primitives that carry programs: calls, loops and branches. */
export const programShapes = {
  call: applied,
  composite: applied,
  linearCall: applied,
  scan: (inputs, { body, numConsts, numCarry, length }) => {
    const xs = inputs.slice(numConsts + numCarry)
    check(
      xs.every(x => x.shape[0] === length),
      () => `every scanned operand must have ${length} rows`,
    )
    checkInputs(body, [...inputs.slice(0, numConsts + numCarry), ...xs.map(x => aval(x.dtype, x.shape.slice(1)))])
    const outputs = outputTypes(body)
    const carry = inputs.slice(numConsts, numConsts + numCarry)
    checkCarry(carry, outputs)
    return [...carry, ...outputs.slice(numCarry).map(y => aval(y.dtype, [length, ...y.shape]))]
  },
  while: (inputs, { condition, body, numConditionConsts, numBodyConsts }) => {
    const carry = inputs.slice(numConditionConsts + numBodyConsts)
    checkInputs(condition, [...inputs.slice(0, numConditionConsts), ...carry])
    checkInputs(body, [...inputs.slice(numConditionConsts, numConditionConsts + numBodyConsts), ...carry])
    check(
      condition.outputs.length === 1 && sameAval(condition.outputs[0].aval, aval('bool', [])),
      'the condition must return one bool scalar',
    )
    checkCarry(carry, outputTypes(body))
    return carry
  },
  cond: ([index, ...operands], { branches }) => {
    check(index.shape.length === 0 && index.dtype === 'int32', 'the index must be an int32 scalar')
    for (const branch of branches) {
      checkInputs(branch, operands)
      check(
        branch.outputs.length === branches[0].outputs.length &&
          branch.outputs.every((o, i) => sameAval(o.aval, branches[0].outputs[i].aval)),
        'the branches return different types',
      )
    }
    return outputTypes(branches[0])
  },
} satisfies ShapeRules
