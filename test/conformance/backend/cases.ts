import type { PrimitiveName } from '../../../src/engine/program/primitives.js'
import type { PrimitiveCases } from './case.js'
import * as control from './cases/control.js'
import { elementwiseCases, selectCases } from './cases/elementwise.js'
import * as indexing from './cases/indexing.js'
import * as reduce from './cases/reduce.js'
import * as shape from './cases/shape.js'

const { whileCases, ...others } = control

/** Cases for every primitive; a primitive without any is a compile error. */
export const cases: { readonly [P in PrimitiveName]: PrimitiveCases<P> } = {
  ...elementwiseCases,
  select: selectCases,
  ...shape,
  ...reduce,
  ...indexing,
  ...others,
  while: whileCases,
}
