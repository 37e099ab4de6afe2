import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { Program } from '../../engine/program/program.js'
import { grad, makeProgram } from '../../engine/api/transforms.js'
import { bufferSlots, combine, dispatch, raggedSlots } from './dispatch.js'
import type { Slots } from './dispatch.js'

const ints = (values: number[][]): Tensor => np.array(values, 'int32')
const oneChoice = (x: Tensor): Tensor => np.expandDims(x, 2)

/** The names of all primitives in a program and its subprograms. */
function primitivesOf(program: Program): string[] {
  return program.equations.flatMap(({ primitive, params }) => [
    primitive,
    ...('program' in params ? primitivesOf(params.program as Program) : []),
  ])
}

describe('buffers of fixed capacity', () => {
  // Two groups of three tokens, two experts, two slots a group.
  const slots = (): Slots =>
    bufferSlots(
      {
        expert: oneChoice(
          ints([
            [1, 1, 1],
            [0, 1, 0],
          ]),
        ),
        position: oneChoice(
          ints([
            [0, 1, 2],
            [0, 0, 1],
          ]),
        ),
        kept: oneChoice(
          np.array([
            [true, true, false],
            [true, true, true],
          ]),
        ),
      },
      2,
      2,
    )

  it('have a slot for each expert, group and position', async () => {
    // Expert 0: group 0 (0, 1), group 1 (2, 3). Expert 1: group 0 (4, 5), group 1 (6, 7).
    expect(await slots().slotOfChoice.numbers()).toEqual([4, 5, 8, 2, 6, 3])
    expect(await slots().choiceOfSlot.numbers()).toEqual([6, 6, 3, 5, 0, 1, 4, 6])
  })

  it('move tokens to slots and back; empty slots and dropped tokens are 0', async () => {
    const x = np.reshape(np.arange(1, 7, 1, 'float32'), [6, 1])
    const dispatched = dispatch(x, slots())
    expect(dispatched.shape).toEqual([8, 1])
    expect(await dispatched.numbers()).toEqual([0, 0, 4, 6, 1, 2, 5, 0])
    expect(await combine(dispatched, slots()).numbers()).toEqual([1, 2, 0, 4, 5, 6])
  })

  it('have gradients that are gathers', async () => {
    const weights = np.reshape(np.arange(1, 9, 1, 'float32'), [8, 1])
    const s = slots()
    const f = (x: Tensor): Tensor => np.sum(combine(np.multiply(dispatch(x, s), weights), s))
    const x = np.ones([6, 1])
    expect(await grad(f)(x).numbers()).toEqual([5, 6, 0, 3, 7, 4])
    const primitives = primitivesOf(makeProgram(grad(f))(x))
    expect(primitives.filter(p => p === 'gather').length).toBeGreaterThanOrEqual(3)
    expect(primitives.filter(p => p.startsWith('scatter'))).toEqual([])
  })
})

describe('tokens with several choices', () => {
  // Two experts, two slots each. Token 0 goes to both, token 1 to expert 1 alone, token 2 to neither.
  const slots = (): Slots =>
    bufferSlots(
      {
        expert: np.reshape(
          ints([
            [0, 1],
            [1, 0],
            [1, 0],
          ]),
          [1, 3, 2],
        ),
        position: np.reshape(
          ints([
            [0, 0],
            [1, -1],
            [2, -1],
          ]),
          [1, 3, 2],
        ),
        kept: np.reshape(
          np.array([
            [true, true],
            [true, false],
            [false, false],
          ]),
          [1, 3, 2],
        ),
      },
      2,
      2,
    )
  const x = (): Tensor => np.array([[1], [2], [4]])

  it('have a slot for each choice, and get the output of each expert back', async () => {
    const s = slots()
    const dispatched = dispatch(x(), s)
    expect(await dispatched.numbers()).toEqual([1, 0, 1, 2])
    const outputs = combine(np.multiply(dispatched, np.array([[10], [10], [100], [100]])), s)
    expect(outputs.shape).toEqual([3, 2, 1])
    expect(await outputs.numbers()).toEqual([10, 100, 200, 0, 0, 0])
  })

  it("get the sum of their choices' gradients, by gathers", async () => {
    const s = slots()
    const f = (x: Tensor): Tensor =>
      np.sum(
        np.multiply(
          combine(np.square(dispatch(x, s)), s),
          np.array([
            [[1], [10]],
            [[1], [1]],
            [[1], [1]],
          ]),
        ),
      )
    expect(await grad(f)(x()).numbers()).toEqual([22, 4, 0])
    expect(primitivesOf(makeProgram(grad(f))(x())).filter(p => p.startsWith('scatter'))).toEqual([])
  })
})

describe('ragged slots', () => {
  it('are sorted by expert, then by token; choices that are not kept come last', async () => {
    const slots = raggedSlots(
      {
        expert: np.reshape(
          ints([
            [2, 0],
            [0, 2],
            [0, 1],
          ]),
          [1, 3, 2],
        ),
        kept: np.reshape(
          np.array([
            [true, true],
            [true, true],
            [true, false],
          ]),
          [1, 3, 2],
        ),
      },
      4,
    )
    expect(await slots.choiceOfSlot.numbers()).toEqual([1, 2, 4, 0, 3, 5])
    expect(await slots.slotOfChoice.numbers()).toEqual([3, 0, 1, 4, 2, 5])
    expect(await (slots.slotsOfExpert as Tensor).numbers()).toEqual([3, 0, 2, 0])
  })
})
