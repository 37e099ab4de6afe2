import { listNames, quote } from '../format.js'
import type { PickleValue } from './pickle.js'

type Dictionary = ReadonlyMap<string | number, PickleValue>

/**
 * Names under which training programs store the state_dict of a model beside other things: `state_dict` (Lightning),
 * `model`, `module` (DeepSpeed) ... The first that a file has is used.
 */
const keys = ['state_dict', 'model_state_dict', 'model_state', 'model', 'module', 'net', 'network', 'weights', 'params']

/** How deep a state_dict may be: `{"model": {"state_dict": ...}}` is 2. */
const maxDepth = 3

/**
 * The state_dict in a file's dictionary: the dictionary itself if it holds a tensor, or the one below a key of `keys`.
 * The notice names entries that are not read. Without a state_dict, the dictionary itself.
 */
export function findStateDict(
  value: Dictionary,
  isTensor: (value: PickleValue) => boolean,
): { entries: Dictionary; notices: string[] } {
  const found = find(value, isTensor, maxDepth)
  if (found === undefined || found.keys.length === 0) return { entries: value, notices: [] }
  const where = quote(found.keys.join('.'))
  const left = found.left.length > 0 ? `; these entries beside it are not read: ${listNames(found.left)}` : ''
  return { entries: found.entries, notices: left === '' ? [] : [`the tensors are read from ${where}${left}`] }
}

interface Found {
  readonly entries: Dictionary
  /** The path to the state_dict, and the entries beside this path. */
  readonly keys: readonly string[]
  readonly left: readonly string[]
}

function find(value: Dictionary, isTensor: (value: PickleValue) => boolean, depth: number): Found | undefined {
  if ([...value.values()].some(isTensor)) return { entries: value, keys: [], left: [] }
  if (depth === 0) return undefined
  for (const key of keys) {
    const inner = value.get(key)
    const found = inner instanceof Map ? find(inner, isTensor, depth - 1) : undefined
    if (found === undefined) continue
    const others = [...value.keys()].map(String).filter(other => other !== key)
    return { entries: found.entries, keys: [key, ...found.keys], left: [...others, ...found.left] }
  }
  return undefined
}
