/** A map of bounded size: when it is full, the entry that was used longest ago is dropped. */
export class Lru<K, V> {
  /** In the order of their last use. */
  private readonly entries = new Map<K, V>()

  /** `dropped` is called with each value that had to leave because the map was full. */
  constructor(
    readonly capacity: number,
    private readonly dropped: (value: V) => void = () => undefined,
  ) {}

  get size(): number {
    return this.entries.size
  }

  /** The value, which counts as used now. */
  get(key: K): V | undefined {
    const value = this.entries.get(key)
    if (value !== undefined) {
      this.entries.delete(key)
      this.entries.set(key, value)
    }
    return value
  }

  /** The value without using it. */
  peek(key: K): V | undefined {
    return this.entries.get(key)
  }

  set(key: K, value: V): void {
    this.entries.delete(key)
    this.entries.set(key, value)
    if (this.entries.size <= this.capacity) return
    const [oldest, old] = this.entries.entries().next().value!
    this.entries.delete(oldest)
    this.dropped(old)
  }

  delete(key: K): void {
    this.entries.delete(key)
  }
}
