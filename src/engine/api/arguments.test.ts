import { expect, it } from 'vitest'
import { ShapeError } from '../../base/errors.js'
import { composite } from './composite.js'
import { hessian, jacobian } from './jacobian.js'
import { jit } from './jit.js'
import * as lax from './lax.js'
import * as np from './np.js'
import * as random from './random.js'
import type { Tensor } from './tensor.js'
import { specialize } from './specialize.js'
import { grad, jvp, valueAndGrad } from './transforms.js'
import { vmap } from './vmap.js'
import { gelu } from '../../nn/activations.js'

const x = np.array([
  [1, 2, 7],
  [3, 4, 5],
])

/** A function as JavaScript sees it: without types. */
type Untyped = (...args: unknown[]) => unknown
const numbers = async (f: unknown, ...args: unknown[]): Promise<number[]> =>
  [...(await ((f as Untyped)(...args) as Tensor).numbers())] as number[]

const reductions = 'sum prod max min ptp all any countNonzero mean average var std logsumexp median'.split(' ')
const nanReductions = 'nansum nanprod nanmean nanvar nanstd nanmax nanmin nanmedian'.split(' ')
const functions = np as unknown as { [name: string]: Untyped }

it.each([...reductions, ...nanReductions, 'argmax', 'argmin', 'nanargmax', 'nanargmin', 'cumsum', 'cumprod'])(
  'np.%s takes its axis alone or as an option',
  async name => {
    const asOption = await numbers(functions[name], x, { axis: 0 })
    expect(await numbers(functions[name], x, 0)).toEqual(asOption)
    expect(asOption.length).toBe(name.startsWith('cum') ? 6 : 3)
  },
)

it('quantiles and methods take an axis or several alone', async () => {
  expect(await numbers(np.quantile, x, 0.5, 0)).toEqual([2, 3, 6])
  expect(await x.sum(0).numbers()).toEqual(await x.sum({ axis: 0 }).numbers())
  expect(await np.sum(x, [0, 1]).item()).toBe(22)
})

const f = (a: Tensor): Tensor => np.sum(a)

it.each<[string, Untyped, unknown[], string]>([
  ['np.sum', functions.sum, [x], '{ axis, keepdims }'],
  ['np.std', functions.std, [x], '{ axis, keepdims, correction }'],
  ['np.nanmax', functions.nanmax, [x], '{ axis, keepdims }'],
  ['np.argmax', functions.argmax, [x], '{ axis }'],
  ['np.median', functions.median, [x], '{ axis, keepdims }'],
  ['np.percentile', functions.percentile, [x, 50], '{ axis, keepdims, method }'],
  ['np.diff', functions.diff, [x], '{ n, axis }'],
  ['np.gradient', functions.gradient, [x], '{ dx, axis }'],
  ['np.sort', functions.sort, [x, 0], '{ descending }'],
  ['np.take', functions.take, [x, 0, 0], '{ mode, fillValue }'],
  ['np.linspace', functions.linspace, [0, 1, 3], '{ endpoint, dtype }'],
  ['np.pad', functions.pad, [x, 1], '{ mode, value, statLength, endValues }'],
  ['np.trace', functions.trace, [x], '{ k, axes }'],
  ['lax.cumsum', lax.cumsum as Untyped, [x, 0], '{ reverse }'],
  ['lax.scan', lax.scan as Untyped, [(c: unknown) => [c, c], 0, x], '{ length, reverse }'],
  ['random.uniform', random.uniform as Untyped, [random.key(0), [2]], '{ minval, maxval }'],
  ['random.choice', random.choice as Untyped, [random.key(0), 3, [2]], '{ replace, p, axis }'],
  ['nn.gelu', gelu as Untyped, [x], '{ approximate }'],
  ['grad', grad as Untyped, [f], '{ argument, hasAux }'],
  ['valueAndGrad', valueAndGrad as Untyped, [f], '{ argument, hasAux }'],
  ['jvp', jvp as Untyped, [f, [x], [x]], '{ hasAux }'],
  ['jit', jit as Untyped, [f], '{ donate, static, inShardings, outShardings, onTrace }'],
  ['vmap', vmap as Untyped, [f], '{ in, out, axisName }'],
  ['specialize', specialize as Untyped, [f, []], '{ donate, onNotice }'],
  ['jacobian', jacobian as Untyped, [f], '{ argument, mode }'],
  ['hessian', hessian as Untyped, [f], '{ argument }'],
  ['composite', composite as Untyped, ['f', f], '{ vjp, attributes, ofGroup }'],
])('%s refuses options that it does not know', (name, function_, args, form) => {
  expect(() => function_(...args, { misspelt: 1 })).toThrow(
    new ShapeError(`${name} has no option misspelt: its options are ${form}`),
  )
  expect(() => function_(...args, 'axis')).toThrow(
    new ShapeError(`${name} takes its options as an object, ${form}, not the string "axis"`),
  )
})

it.each(['unique', 'uniqueAll', 'nonzero', 'flatnonzero', 'argwhere'])('np.%s needs the size of its result', name => {
  for (const options of [undefined, {}])
    expect(() => functions[name](x, options)).toThrow(
      new ShapeError(`np.${name} needs the option size: give { size, fillValue }`),
    )
})

it('np.bincount needs the length of its result, and lax.cumsum runs along the first axis unless given', async () => {
  expect(() => functions.bincount(np.array([1], 'int32'))).toThrow(/np\.bincount needs the option length/)
  expect(await lax.cumsum(x).numbers()).toEqual([1, 2, 7, 4, 6, 12])
})

it('an axis that is no number is named', () => {
  expect(() => functions.sum(x, { axis: null })).toThrow(/an axis is a number, several are a list of numbers: not null/)
  expect(() => functions.flip(x, 'rows')).toThrow(ShapeError)
})
