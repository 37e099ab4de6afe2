import { describe, expect, it } from 'vitest'
import { hostFrom } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import { interpret } from '../../src/engine/compile/reference/interpret.js'
import { generatorLimits } from '../../src/engine/compile/wasm/generator-code.js'
import { Generators } from '../../src/engine/compile/wasm/generator.js'
import { aval } from '../../src/engine/program/aval.js'
import type { Aval } from '../../src/engine/program/aval.js'
import * as ops from '../../src/engine/program/ops.js'
import { binaryPrimitives, comparePrimitives, unaryPrimitives } from '../../src/engine/program/primitives.js'
import type {
  BinaryPrimitive,
  ComparePrimitive,
  PrimitiveName,
  UnaryPrimitive,
} from '../../src/engine/program/primitives.js'
import type { Program } from '../../src/engine/program/program.js'
import { bind, traceClosed } from '../../src/engine/program/trace.js'
import { literal } from '../../src/engine/program/value.js'
import type { Value } from '../../src/engine/program/value.js'
import { specialValues } from './backend/case.js'
import { cases } from './backend/cases.js'
import { difference } from './backend/compare.js'
import type { Tolerance } from './backend/compare.js'

type LaneType = 'float32' | 'int32' | 'uint32' | 'bool'
const laneTypes: readonly LaneType[] = ['float32', 'int32', 'uint32', 'bool']
/** Parts of vectors, and of the blocks of 4096 in which loops run. */
const sizes = [0, 1, 3, 4, 5, 1023, 1025, 4096, 8195]
/** Every pair of special values (see `operands`), and a part of a vector: all that differs between primitives. */
const pairsOfValues = 1025

const positions = (size: number): Value => ops.iota('uint32', [size], 0)
const filled = (x: Value | number, like: Value): Value =>
  ops.broadcastInDim(typeof x === 'number' ? literal(x, like.dtype) : x, like.shape, [])

/** Random words, from a key of literals. */
function words(at: Value): [Value, Value] {
  const [first, second] = ops.threefry2x32([filled(7, at), filled(11, at), filled(0, at), at])
  return [first, second]
}

/** At each position the special value that `counter` says, or random bits where there is none. */
function values(dtype: LaneType, counter: Value, word: 0 | 1 = 0): Value {
  const bits = words(positions(counter.size))[word]
  const random = dtype === 'bool' ? ops.lt(bits, filled(2 ** 31, bits)) : ops.bitcastConvertType(bits, dtype)
  const table = specialValues(dtype)
  return table.reduce<Value>(
    (rest, value, i) => ops.select(ops.eq(counter, filled(i, counter)), filled(Number(value), rest), rest),
    random,
  )
}

/** Two operands: every pair of special values within the first 1024 places. */
function operands(dtype: LaneType, size: number): [Value, Value] {
  const at = positions(size)
  return [values(dtype, ops.and(at, filled(31, at))), values(dtype, ops.shiftRightLogical(at, filled(5, at)), 1)]
}

const generators = new Generators()

/** Whether a loop can compute all of a program's equations. */
function isGenerated(program: Program): boolean {
  const canGenerate = generatorLimits.canGenerate(program)
  return program.equations.every(canGenerate)
}

/** What is wrong with a program's outputs as a loop computes them. */
function failures(program: Program, scalars: readonly HostTensor[], tolerance: Tolerance): string[] {
  expect(isGenerated(program), `a loop computes all of\n${program}`).toBe(true)
  const results = generators.of(program).run(scalars)
  return interpret(program, scalars).flatMap((expected, i) => {
    const wrong = difference(results[i], expected, tolerance)
    return wrong === undefined ? [] : [`output ${i} of\n${program}\n${wrong}`]
  })
}

const checkAllSizes = (
  write: (size: number) => Value[],
  tolerance: Tolerance,
  types: readonly Aval[] = [],
  scalars: readonly HostTensor[] = [],
): void => {
  for (const size of sizes)
    expect(
      failures(
        traceClosed(types, () => write(size)),
        scalars,
        tolerance,
      ),
    ).toEqual([])
}

const apply = (primitive: PrimitiveName, inputs: readonly Value[]): Value[] => bind(primitive, inputs, {})
const arity = new Map<UnaryPrimitive | BinaryPrimitive | ComparePrimitive, number>([
  ...unaryPrimitives.map(p => [p, 1] as const),
  ...[...binaryPrimitives, ...comparePrimitives].map(p => [p, 2] as const),
])
const supported = [...arity].flatMap(([primitive, n]) =>
  laneTypes.flatMap(dtype => {
    if (!(cases[primitive].dtypes as readonly string[]).includes(dtype)) return []
    const write = (size: number): Value[] => apply(primitive, operands(dtype, size).slice(0, n))
    return isGenerated(traceClosed([], () => write(1))) ? [{ primitive, dtype, write }] : []
  }),
)

describe('loops that generate arrays compute what the interpreter does', () => {
  it('knows these primitives', () => {
    const names = supported.map(({ primitive, dtype }) => `${primitive} ${dtype}`)
    const of = (dtype: LaneType): string =>
      names
        .filter(n => n.endsWith(` ${dtype}`))
        .map(n => n.split(' ')[0])
        .join(' ')
    expect(Object.fromEntries(laneTypes.map(dtype => [dtype, of(dtype)]))).toMatchInlineSnapshot(`
      {
        "bool": "not stopGradient and or xor",
        "float32": "neg abs sign floor ceil round log log1p sqrt rsqrt erfInv stopGradient add sub mul div max min eq ne lt le gt ge",
        "int32": "neg abs not stopGradient add sub mul max min and or xor eq ne lt le gt ge",
        "uint32": "neg not stopGradient add sub mul rem max min and or xor eq ne lt le gt ge",
      }
    `)
  })

  it.each(supported)('$primitive of $dtype', ({ primitive, write }) => {
    const tolerance =
      primitive === 'max' || primitive === 'min' ? { ulps: 0, eitherZero: true } : cases[primitive].tolerance
    const program = traceClosed([], () => write(pairsOfValues))
    expect(failures(program, [], tolerance)).toEqual([])
  })

  it.each(laneTypes)('select of %s', dtype => {
    checkAllSizes(size => {
      const [x, y] = operands(dtype, size)
      return [ops.select(operands('bool', size)[0], x, y)]
    }, 'bits')
  })

  it.each(['int32', 'uint32'] as const)('shifts of %s', dtype => {
    checkAllSizes(size => {
      const [x] = operands(dtype, size)
      return [0, 1, 9, 31].flatMap(count =>
        (['shiftLeft', 'shiftRightLogical', 'shiftRightArithmetic'] as const).flatMap(p =>
          apply(p, [x, filled(count, x)]),
        ),
      )
    }, 'bits')
  })

  it('remainders of uint32', () => {
    checkAllSizes(size => {
      const [x] = operands('uint32', size)
      return [1, 2, 3, 100, 65537, 2 ** 31, 2 ** 32 - 1].flatMap(by => apply('rem', [x, filled(by, x)]))
    }, 'bits')
  })

  it.each([
    ['float32', ['int32', 'uint32', 'bool']],
    ['int32', ['float32', 'uint32', 'bool', 'uint8', 'uint16']],
    ['uint32', ['float32', 'int32', 'bool', 'uint8', 'uint16']],
    ['bool', ['float32', 'int32', 'uint32', 'uint8', 'uint16']],
  ] as const)('%s as %s', (from, to) => {
    checkAllSizes(size => {
      const [x] = operands(from, size)
      return to.map(dtype => ops.convertElementType(x, dtype))
    }, 'bits')
  })

  it('bits of one dtype as another, reshaped', () => {
    checkAllSizes(size => {
      const [x] = operands('float32', size)
      const integers = ops.reshape(ops.bitcastConvertType(x, 'int32'), [1, size])
      return [integers, ops.bitcastConvertType(ops.bitcastConvertType(integers, 'uint32'), 'float32')]
    }, 'bits')
  })

  it('both words of threefry', () => {
    checkAllSizes(size => words(positions(size)), 'bits')
  })

  it('logarithms are within 1 unit in the last place of all positive numbers, subnormal ones included', () => {
    checkAllSizes(
      size => {
        const [bits] = words(positions(size))
        const tiny = ops.bitcastConvertType(ops.shiftRightLogical(bits, filled(9, bits)), 'float32')
        const near1 = ops.add(
          ops.mul(ops.convertElementType(bits, 'float32'), filled(2 ** -32, tiny)),
          filled(0.5, tiny),
        )
        return [ops.abs(ops.bitcastConvertType(bits, 'float32')), tiny, near1].map(x => ops.log(x))
      },
      { ulps: 1 },
    )
  })

  it('arithmetic with scalars that are known only when it runs', () => {
    const types = [aval('float32', []), aval('uint32', []), aval('int32', [])]
    for (const [f, u, i] of [
      [1.5, 4294967295, -3],
      [NaN, 0, 2147483647],
      [-Infinity, 7, -2147483648],
    ]) {
      const scalars = [hostFrom('float32', [], [f]), hostFrom('uint32', [], [u]), hostFrom('int32', [], [i])]
      for (const size of sizes) {
        const program = traceClosed(types, ([x, y, z]) => {
          const at = positions(size)
          const [float, integer] = [values('float32', at), values('int32', at)]
          return [ops.mul(float, filled(x, float)), ops.xor(at, filled(y, at)), ops.add(integer, filled(z, integer))]
        })
        expect(failures(program, scalars, { ulps: 0 })).toEqual([])
      }
    }
  })
})
