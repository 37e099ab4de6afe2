import { check } from '../../base/errors.js'
import { pathsOf } from '../../base/pytree.js'
import type { TreeDef } from '../../base/pytree.js'
import { describe } from './describe.js'

/** A tree of settings, one for each array of another tree. A setting in place of a subtree holds for all its arrays. */
export type PrefixTree<T> = T | readonly PrefixTree<T>[] | { readonly [key: string]: PrefixTree<T> }

/**
 * The setting of each leaf of a structure. Throws a ShapeError that names `what` if the settings do not have the
 * structure `def`, down to where they are given.
 */
export function spreadPrefix<T>(
  tree: PrefixTree<T>,
  def: TreeDef,
  isSetting: (x: unknown) => x is T,
  what: string,
): T[] {
  if (isSetting(tree)) return pathsOf(def).map(() => tree)
  const wrong = (): string =>
    `${what} is ${shown(tree)}, but is for ${shownDef(def)}: give one for each array, or one for all`
  if (def.kind === 'list') {
    check(Array.isArray(tree) && tree.length === def.items.length, wrong)
    return def.items.flatMap((item, i) => spreadPrefix((tree as readonly PrefixTree<T>[])[i], item, isSetting, what))
  }
  check(def.kind === 'dict' && typeof tree === 'object' && tree !== null && def.keys.every(key => key in tree), wrong)
  return def.items.flatMap((item, i) =>
    spreadPrefix((tree as { readonly [key: string]: PrefixTree<T> })[def.keys[i]], item, isSetting, what),
  )
}

const shown = (tree: unknown): string => {
  if (Array.isArray(tree)) return `a list of ${tree.length}`
  const text = describe(tree)
  return text === 'a plain object' ? `an object with ${keys(Object.keys(tree as object))}` : text
}

const shownDef = (def: TreeDef): string =>
  def.kind === 'list'
    ? `a list of ${def.items.length}`
    : def.kind === 'dict'
      ? `an object with ${keys(def.keys)}`
      : 'one array'

const keys = (names: readonly string[]): string => names.join(', ') || 'nothing'
