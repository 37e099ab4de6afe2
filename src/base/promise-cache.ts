/** A map of promises: `Map`, `WeakMap` and `Lru`. */
interface PromiseMap<K, V> {
  get(key: K): Promise<V> | undefined
  set(key: K, value: Promise<V>): unknown
  delete(key: K): unknown
}

/**
 * The promise under a key, made by `make` if there is none. A promise that rejects leaves the map: a failure, such as
 * too little memory or a read that failed, may be over when the next caller asks.
 */
export function cachedPromise<K, V>(cache: PromiseMap<K, V>, key: K, make: () => Promise<V>): Promise<V> {
  const known = cache.get(key)
  if (known) return known
  const promise = make()
  cache.set(key, promise)
  promise.catch(() => {
    if (cache.get(key) === promise) cache.delete(key)
  })
  return promise
}

/**
 * A function that calls `make` at first use, and keeps its promise unless that rejects: then the next call tries again.
 */
export function lazyPromise<T>(make: () => Promise<T>): () => Promise<T> {
  const kept = new Map<undefined, Promise<T>>()
  return () => cachedPromise(kept, undefined, make)
}

/** As `cachedPromise`, for a cache of one entry: another key replaces it. */
export function lastPromise<K, V>(make: (key: K) => Promise<V>): { get(key: K): Promise<V>; clear(): void } {
  const last = new Map<K, Promise<V>>()
  return {
    get: key => {
      if (!last.has(key)) last.clear()
      return cachedPromise(last, key, () => make(key))
    },
    clear: () => last.clear(),
  }
}
