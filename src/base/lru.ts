/** A map of bounded size. When it is full, the least recently used entry is dropped. */
export class Lru<K, V> {
  /** Ordered by last use, the least recently used entry first. */
  private readonly entries = new Map<K, V>()

  /** `dropped` is called with each value that is dropped because the map is full. */
  constructor(
    readonly capacity: number,
    private readonly dropped: (value: V) => unknown = () => undefined,
  ) {}

  get size(): number {
    return this.entries.size
  }

  /** The value of a key. Makes the entry the most recently used one. */
  get(key: K): V | undefined {
    const value = this.entries.get(key)
    if (value !== undefined) {
      this.entries.delete(key)
      this.entries.set(key, value)
    }
    return value
  }

  /** The value of a key, without changing the order of use. */
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

  /** All values, the least recently used first. */
  values(): Iterable<V> {
    return this.entries.values()
  }

  delete(key: K): void {
    this.entries.delete(key)
  }
}

/** `make`, which is called once for each of the last `capacity` keys. */
export function memoized<K, V>(capacity: number, make: (key: K) => V): (key: K) => V {
  const made = new Lru<K, V>(capacity)
  return key => {
    let value = made.get(key)
    if (value === undefined) made.set(key, (value = make(key)))
    return value
  }
}
