import type { CollectivePrimitive, PrimitiveName } from '../../../src/engine/program/primitives.js'
import type { PrimitiveCases } from './case.js'
import * as control from './cases/control.js'
import * as devices from './cases/devices.js'
import { elementwiseCases, selectCases } from './cases/elementwise.js'
import * as indexing from './cases/indexing.js'
import * as reduce from './cases/reduce.js'
import * as shape from './cases/shape.js'

const { whileCases, ...others } = control

/**
 * Cases for every primitive; a primitive without any is a compile error. Collectives are in the bodies of the cases of
 * shardMap.
 */
export const cases: { readonly [P in Exclude<PrimitiveName, CollectivePrimitive>]: PrimitiveCases<P> } = {
  ...elementwiseCases,
  select: selectCases,
  ...shape,
  ...reduce,
  ...indexing,
  ...others,
  ...devices,
  while: whileCases,
}
