/**
 * Finds texts in UTF-8 that arrives in parts (Aho and Corasick 1975). A state is a number; it stands for the longest
 * beginning of a text with which the bytes end. The first state is 0.
 */
export class TextFinder {
  /** For each state, the states of beginnings that are one byte longer. */
  private readonly longer: Map<number, number>[] = [new Map()]
  /** For each state, that of the next shorter beginning with which the bytes end. */
  private readonly shorter: number[] = [0]
  /** The state after each byte in the first state, where most bytes are read. */
  private readonly afterNothing = new Int32Array(256)
  /** For each state, whether a text ends there. */
  private readonly isEnd: boolean[] = [false]

  constructor(texts: readonly string[]) {
    for (const text of texts) {
      let state = 0
      for (const byte of new TextEncoder().encode(text)) {
        let next = this.longer[state].get(byte)
        if (next === undefined) {
          next = this.longer.push(new Map()) - 1
          this.longer[state].set(byte, next)
          this.isEnd.push(false)
        }
        state = next
      }
      this.isEnd[state] = true
    }
    for (const [byte, state] of this.longer[0]) this.afterNothing[byte] = state
    this.link()
  }

  /** Finds `shorter` of all states, short beginnings first. */
  private link(): void {
    const { longer, shorter, isEnd } = this
    const open = [0]
    for (const state of open)
      for (const [byte, next] of longer[state]) {
        shorter[next] = state === 0 ? 0 : this.step(shorter[state], byte)
        isEnd[next] ||= isEnd[shorter[next]]
        open.push(next)
      }
  }

  private step(state: number, byte: number): number {
    const { longer, shorter } = this
    for (let at = state; at > 0; at = shorter[at]) {
      const next = longer[at].get(byte)
      if (next !== undefined) return next
    }
    return this.afterNothing[byte]
  }

  /** The state after more bytes. */
  after(state: number, bytes: Uint8Array): number {
    for (const byte of bytes) state = this.step(state, byte)
    return state
  }

  /** Whether a text ends within the bytes that follow a state. */
  finds(state: number, bytes: Uint8Array): boolean {
    for (let i = 0; i < bytes.length; i++) {
      state = this.step(state, bytes[i])
      if (this.isEnd[state]) return true
    }
    return false
  }
}
