import { PhiloxStream } from './philox.js'
import { wordsOf } from './seed.js'

/** The seed that TensorFlow combines with the seed of each operation while no global seed is set. */
const DEFAULT_GRAPH_SEED = 87654321

const MODULUS = 2 ** 31 - 1

/** The remainder as in Python, never negative. */
function remainder(value: number | bigint, modulus: number): number {
  const result = typeof value === 'number' ? value % modulus : Number(value % BigInt(modulus))
  return result < 0 ? result + modulus : result
}

/**
 * The random words of a tf.data operation with a seed, such as a `RandomDataset` or a shuffle. The seed is not
 * scrambled: the key is the graph's seed, and the counter's high half is the operation's seed.
 */
export class RandomDataset {
  /** Its words: element e is word e. */
  readonly stream: PhiloxStream
  /** The latest block, because neighbouring elements are often asked for in order. */
  private readonly words = new Uint32Array(4)
  private block = -1

  /** `graphSeed` is the value given to `tf.random.set_seed`, if it was called. */
  constructor(seed: number | bigint, graphSeed?: number) {
    const graph = graphSeed === undefined ? DEFAULT_GRAPH_SEED : remainder(graphSeed, MODULUS)
    const own = remainder(seed, MODULUS)
    this.stream = new PhiloxStream(wordsOf(graph), [0, 0, ...wordsOf(graph === 0 && own === 0 ? MODULUS : own)])
  }

  /** Element `index`, an integer from 0 to 2^32 - 1. The cost does not depend on the index. */
  get(index: number): number {
    const block = Math.floor(index / 4)
    if (block !== this.block) {
      this.stream.fill(this.words, 4, block)
      this.block = block
    }
    return this.words[index - 4 * block]
  }

  /** The first `count` elements. */
  take(count: number): Uint32Array {
    return this.stream.words(count)
  }
}
