import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { leavesWithPaths, treeFromPaths } from '../../src/base/pytree.js'
import { toNumbers } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import { readCheckpoint } from '../../src/checkpoint/format.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import * as np from '../../src/engine/api/np.js'
import type { TensorTree } from '../../src/engine/api/tracing.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/t5x/${name}`, import.meta.url))

export const readJson = <T>(name: string): T => JSON.parse(readFileSync(fixture(name), 'utf8')) as T

/** Every tensor of a file of reference values. */
export const loadFixture = (name: string): Promise<Map<string, HostTensor>> =>
  readCheckpoint(safetensors, fixture(name))

/** The tensors under a prefix, as a tree of arrays. */
export const treeOf = (tensors: ReadonlyMap<string, HostTensor>, prefix: string): TensorTree =>
  treeFromPaths(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), np.fromHost(tensor)]),
  )

/**
 * The largest difference of any array from its reference, relative to the reference's largest magnitude. Shapes must
 * agree.
 */
export async function worstDifference(
  actual: TensorTree,
  expected: ReadonlyMap<string, HostTensor>,
  prefix: string,
): Promise<number> {
  let worst = 0
  for (const [path, array] of leavesWithPaths<Tensor>(actual)) {
    const tensor = expected.get(prefix + path)
    if (tensor?.shape.join() !== array.shape.join())
      throw new Error(`${path}: ${array} where the reference has [${tensor?.shape}]`)
    const reference = toNumbers(tensor)
    const scale = Math.max(...reference.map(Math.abs), 1e-30)
    const values = await array.numbers()
    worst = Math.max(worst, ...values.map((x, i) => Math.abs(x - reference[i]) / scale))
  }
  return worst
}
