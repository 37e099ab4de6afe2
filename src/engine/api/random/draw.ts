import { check } from '../../../base/errors.js'
import { Lru } from '../../../base/lru.js'
import { formatAval } from '../../program/aval.js'
import type { Program } from '../../program/program.js'
import { isTracing, traceClosed } from '../../program/trace.js'
import { describe } from '../describe.js'
import { defaultEngine } from '../engine.js'
import { Tensor } from '../tensor.js'

/** How many traced programs one drawing function keeps: one for each combination of shapes and dtypes. */
const MAX_TRACED = 64

/**
 * A drawing function as one program. Outside traced functions its operations would run one by one; as one program the
 * backend compiles them together, and a later call with the same types and constants runs it without being traced or
 * compiled again. `arrays` are the key and all numbers that may differ from call to call, as scalars. `constants` are
 * lengths, axes and dtypes.
 */
export function asOneProgram<C extends unknown[]>(
  f: (arrays: readonly Tensor[], ...constants: C) => Tensor,
): (arrays: readonly Tensor[], ...constants: C) => Tensor {
  const programs = new Lru<string, Program>(MAX_TRACED)
  return (arrays, ...constants) => {
    const [k] = arrays
    check(
      k instanceof Tensor && k.dtype === 'uint32' && k.ndim === 1 && (k.size === 2 || k.size === 4),
      () => `a key is u32[2] (random.key, random.split), not ${describe(k)}`,
    )
    if (isTracing()) return f(arrays, ...constants)
    const values = arrays.map(a => a.value)
    const types = values.map(v => v.aval)
    const signature = JSON.stringify([types.map(formatAval), constants])
    let program = programs.get(signature)
    if (!program) {
      program = traceClosed(types, inputs => [
        f(
          inputs.map(v => new Tensor(v)),
          ...constants,
        ).value,
      ])
      programs.set(signature, program)
    }
    const engine = values.find(v => v.evaluator !== null)?.evaluator ?? defaultEngine()
    return new Tensor(engine.run(program, values, undefined, 'a random draw')[0])
  }
}
