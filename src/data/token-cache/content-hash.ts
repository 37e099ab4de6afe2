import { createHash } from 'node:crypto'
import { serialize } from 'node:v8'
import type { Dataset } from '../dataset.js'
import { LongWork } from '../long-work.js'

/** So many examples are hashed at a time. */
const BLOCK = 64

/**
 * The SHA-256 of all fields of all examples, in order. Equal hashes mean equal examples, wherever they come from and
 * whichever functions made them. (Node's serialization may give equal values other bytes in another version of Node:
 * then an entry of the cache is not found, and made again.)
 */
export function contentHash(examples: Dataset<unknown>, what: string): string {
  const hash = createHash('sha256')
  const work = new LongWork(`reading ${what}`, examples.length)
  for (let from = 0; from < examples.length; from += BLOCK) {
    const block: unknown[] = []
    for (let i = from; i < Math.min(from + BLOCK, examples.length); i++) block.push(examples.get(i))
    hash.update(serialize(block))
    work.at(from)
  }
  work.end()
  return hash.digest('hex')
}
