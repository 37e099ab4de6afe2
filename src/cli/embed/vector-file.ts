import { extname } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { hostTensor } from '../../base/host-tensor.js'
import { exists, writeFileAtomically } from '../../checkpoint/atomic.js'
import { sourceOf } from '../../checkpoint/format.js'
import { safetensors } from '../../checkpoint/safetensors.js'
import { jsonLine } from './lines.js'
import type { Embedded } from './lines.js'

const jsonEndings = ['.jsonl', '.ndjson', '.json']

/** Throws a ConfigError unless vectors can be written to a file of this name, and there is no such file yet. */
export async function checkVectorFile(out: string): Promise<void> {
  const ending = extname(out)
  if (!isSafetensors(out) && !jsonEndings.includes(ending.toLowerCase()))
    throw new ConfigError(
      `--out ${out}: vectors are written as .safetensors or .jsonl: --out ${out.slice(0, out.length - ending.length)}.safetensors`,
    )
  if (await exists(out)) throw new ConfigError(`--out ${out}: this file exists: delete it, or give another name`)
}

const isSafetensors = (out: string): boolean => extname(out).toLowerCase() === '.safetensors'

/**
 * Writes vectors to a new file, which appears when all are there: JSON Lines of texts and vectors, or a safetensors
 * file with the tensor `vectors` [texts, size]. Resolves to the number of vectors.
 */
export async function writeVectors(out: string, items: AsyncIterable<Embedded>, dimension: number): Promise<number> {
  if (!isSafetensors(out)) {
    let count = 0
    await writeFileAtomically(out, async handle => {
      for await (const item of items) {
        await handle.appendFile(`${jsonLine(item)}\n`)
        count++
      }
    })
    return count
  }
  const vectors: Float32Array[] = []
  for await (const { vector } of items) vectors.push(vector)
  const all = new Float32Array(vectors.length * dimension)
  vectors.forEach((vector, i) => all.set(vector, i * dimension))
  await safetensors.write(out, sourceOf([['vectors', hostTensor('float32', [vectors.length, dimension], all)]]))
  return vectors.length
}
