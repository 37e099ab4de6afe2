import { hostFrom } from '../../base/host-tensor.js'
import { makeProgram } from '../../engine/api/transforms.js'
import * as np from '../../engine/api/np.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { Backend } from '../../engine/compile/backend.js'

/** How a small program ran on a backend. */
export interface Trial {
  readonly compileMs: number
  /** The shortest of several runs, with the read of its result. */
  readonly runMs: number
}

const SIZE = 256
const RUNS = 5

/**
 * Compiles and runs a product of two matrices of 256 x 256 and the sum of its elements. Throws an Error if the result
 * is wrong.
 */
export async function tryOut(backend: Backend): Promise<Trial> {
  const example = np.zeros([SIZE, SIZE])
  const program = makeProgram((a: Tensor, b: Tensor) => np.sum(np.matmul(a, b)))(example, example)
  const begin = performance.now()
  const executable = await backend.compile(program)
  const compileMs = performance.now() - begin
  const ones = hostFrom('float32', [SIZE, SIZE], new Array<number>(SIZE * SIZE).fill(1))
  let runMs = Infinity
  for (let i = 0; i < RUNS; i++) {
    const inputs = [backend.put(ones), backend.put(ones)]
    const start = performance.now()
    const [output] = await executable.run(inputs)
    const [sum] = (await output.read()).data
    runMs = Math.min(runMs, performance.now() - start)
    if (sum !== SIZE ** 3) throw new Error(`a small program gave ${sum} instead of ${SIZE ** 3}`)
  }
  await executable.release()
  return { compileMs, runMs }
}
