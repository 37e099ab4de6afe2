const PAGE = 65536
/** A WebAssembly memory ends at 4 GiB; the last page is left out so that every address fits 32 bits. */
const MAX_BYTES = 2 ** 32 - PAGE
const ALIGNMENT = 64

/** A WebAssembly memory that holds pages. Its first bytes are for what is computed from them. */
export interface PageArena {
  readonly memory: WebAssembly.Memory
}

/** The bytes at the beginning of a page arena that hold no pages. */
export const SCRATCH_BYTES = 2 ** 20

const arenas = new WeakMap<ArrayBufferLike, PageArena>()

/** The arena that an array lies in; undefined if it lies in ordinary memory. */
export const pageArenaOf = ({ buffer }: ArrayBufferView): PageArena | undefined => arenas.get(buffer)

/**
 * Memory for pages, such as the experts of a model, that generated code reads where they are: WebAssembly memories,
 * which ONNX Runtime and the operating system read and write as any other array. The operating system provides their
 * bytes when they are first touched. What was allocated is freed with the last array on its memory.
 */
export class PageArenas {
  private arena: { readonly buffer: ArrayBuffer; next: number } | undefined

  /** `most`: how many bytes will be allocated at most. */
  constructor(private most: number) {}

  /** Memory of its own for a page; ordinary memory if there is no room for a WebAssembly memory. */
  allocate(bytes: number): Uint8Array<ArrayBuffer> {
    const size = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
    if (!this.arena || this.arena.next + size > this.arena.buffer.byteLength) this.arena = this.open(size)
    if (!this.arena) return new Uint8Array(bytes)
    const { buffer, next } = this.arena
    this.arena.next += size
    this.most -= size
    return new Uint8Array(buffer, next, bytes)
  }

  /**
   * A memory for all that is still to be allocated, or as much of it as a memory can hold. If the system refuses it,
   * half of that is tried, and so on, for one page at least.
   */
  private open(size: number): typeof this.arena {
    const least = SCRATCH_BYTES + size
    for (let bytes = Math.min(MAX_BYTES, Math.max(least, SCRATCH_BYTES + this.most)); bytes >= least;) {
      const memory = memoryOf(bytes)
      if (memory) {
        arenas.set(memory.buffer, { memory })
        return { buffer: memory.buffer, next: SCRATCH_BYTES }
      }
      bytes = bytes > least ? Math.max(least, bytes / 2) : 0
    }
    return undefined
  }
}

/** A memory of at least this many bytes; undefined if the system has no room for it. */
function memoryOf(bytes: number): WebAssembly.Memory | undefined {
  const pages = Math.ceil(bytes / PAGE)
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages })
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
