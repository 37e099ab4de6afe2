import type { HostTensor } from '../../../base/host-tensor.js'

const PAGE = 65536
/** A WebAssembly memory ends at 4 GiB; the last page is left out so that every address fits 32 bits. */
const MAX_BYTES = 2 ** 32 - PAGE
/** Vectors of four floats; a loop over whole vectors may touch the padding behind an array. */
const ALIGNMENT = 64

/** How large arrays that must lie in one arena may be together, with room for their alignment. */
export const MAX_TOGETHER = MAX_BYTES - 2 ** 20

/** A piece of an arena. */
export interface Block {
  readonly arena: Arena
  readonly offset: number
  readonly bytes: number
}

/**
 * One WebAssembly memory, given out in blocks. It never grows (growing would detach every array on it); the operating
 * system provides its pages when they are first touched. First fit over free blocks in order of their addresses.
 */
export class Arena {
  readonly memory: WebAssembly.Memory
  private readonly free: { offset: number; bytes: number }[]

  constructor(bytes: number) {
    const pages = Math.ceil(bytes / PAGE)
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    // Address 0 is left out: nothing then has an address that looks like none.
    this.free = [{ offset: ALIGNMENT, bytes: pages * PAGE - ALIGNMENT }]
  }

  /** How many bytes no block has. */
  get freeBytes(): number {
    return this.free.reduce((sum, f) => sum + f.bytes, 0)
  }

  allocate(bytes: number): Block | null {
    const size = Math.ceil(Math.max(bytes, 1) / ALIGNMENT) * ALIGNMENT
    const i = this.free.findIndex(f => f.bytes >= size)
    if (i < 0) return null
    const { offset, bytes: available } = this.free[i]
    if (available === size) this.free.splice(i, 1)
    else this.free[i] = { offset: offset + size, bytes: available - size }
    return { arena: this, offset, bytes: size }
  }

  release({ offset, bytes }: Block): void {
    let i = this.free.findIndex(f => f.offset > offset)
    if (i < 0) i = this.free.length
    this.free.splice(i, 0, { offset, bytes })
    const joins = (a: number): boolean =>
      a >= 0 && a + 1 < this.free.length && this.free[a].offset + this.free[a].bytes === this.free[a + 1].offset
    for (const at of [i, i - 1]) {
      if (!joins(at)) continue
      const [next] = this.free.splice(at + 1, 1)
      this.free[at].bytes += next.bytes
    }
  }
}

/** As many arenas as are needed. Arrays of one loop must lie in one: ask for their memory together. */
export class Arenas {
  private readonly arenas: Arena[] = []

  /** No arena is made smaller than `leastBytes`. */
  constructor(private readonly leastBytes = 2 ** 28) {}

  /** Blocks of these sizes in one arena: `preferred` if it has room. */
  allocateTogether(sizes: readonly number[], preferred?: Arena): Block[] {
    for (const arena of preferred ? [preferred, ...this.arenas] : this.arenas) {
      const blocks = allocateAll(arena, sizes)
      if (blocks) return blocks
    }
    const total = sizes.reduce((sum, n) => sum + n + ALIGNMENT, 2 * ALIGNMENT)
    if (total > MAX_BYTES)
      throw new RangeError(
        `arrays of ${total} bytes that are updated together do not fit the 4 GiB of a WebAssembly memory`,
      )
    const arena = new Arena(Math.min(MAX_BYTES, Math.max(this.leastBytes, 4 * total)))
    this.arenas.push(arena)
    return allocateAll(arena, sizes)!
  }
}

function allocateAll(arena: Arena, sizes: readonly number[]): Block[] | null {
  const blocks: Block[] = []
  for (const size of sizes) {
    const block = arena.allocate(size)
    if (!block) {
      blocks.forEach(b => arena.release(b))
      return null
    }
    blocks.push(block)
  }
  return blocks
}

/** A float32 array on a block. */
export const tensorOn = ({ arena, offset }: Block, shape: readonly number[], length: number): HostTensor => ({
  dtype: 'float32',
  shape,
  data: new Float32Array(arena.memory.buffer, offset, length),
})
