import { check } from './errors.js'

/** A nesting of arrays and plain objects whose leaves are of type `L`. null and undefined are empty trees. */
export type Tree<L> = L | null | undefined | readonly Tree<L>[] | { readonly [key: string]: Tree<L> }

/** The structure of a tree: its lists and keys, without its leaves. */
export type TreeDef =
  | { kind: 'leaf' }
  | { kind: 'empty'; value: null | undefined }
  | { kind: 'list'; items: TreeDef[] }
  | { kind: 'dict'; keys: string[]; items: TreeDef[] }

const LEAF: TreeDef = { kind: 'leaf' }

function isPlainObject(x: unknown): x is Record<string, unknown> {
  if (typeof x !== 'object' || x === null) return false
  const proto: unknown = Object.getPrototypeOf(x)
  return proto === Object.prototype || proto === null
}

/** Splits a tree into its leaves, in order (object keys sorted), and its structure. Class instances are leaves. */
export function flatten<L>(tree: Tree<L>): { leaves: L[]; def: TreeDef } {
  const leaves: L[] = []
  const visit = (node: unknown): TreeDef => {
    if (node === null || node === undefined) return { kind: 'empty', value: node }
    if (Array.isArray(node)) return { kind: 'list', items: node.map(visit) }
    if (isPlainObject(node)) {
      const keys = Object.keys(node).sort()
      return { kind: 'dict', keys, items: keys.map(k => visit(node[k])) }
    }
    leaves.push(node as L)
    return LEAF
  }
  return { def: visit(tree), leaves }
}

/** The leaves of a tree that has a known structure, in order; null if its structure is another one. */
export function leavesAs<L>(def: TreeDef, tree: Tree<L>): L[] | null {
  const leaves: L[] = []
  const visit = (d: TreeDef, node: unknown): boolean => {
    switch (d.kind) {
      case 'leaf':
        if (node === null || node === undefined || Array.isArray(node) || isPlainObject(node)) return false
        leaves.push(node as L)
        return true
      case 'empty':
        return node === d.value
      case 'list':
        return Array.isArray(node) && node.length === d.items.length && d.items.every((item, i) => visit(item, node[i]))
      case 'dict':
        return (
          isPlainObject(node) &&
          Object.keys(node).length === d.keys.length &&
          d.keys.every((key, i) => Object.hasOwn(node, key) && visit(d.items[i], node[key]))
        )
    }
  }
  return visit(def, tree) ? leaves : null
}

/** Puts leaves back into a structure: the inverse of `flatten`. */
export function unflatten<L>(def: TreeDef, leaves: readonly L[]): Tree<L> {
  let next = 0
  const build = (d: TreeDef): Tree<L> => {
    switch (d.kind) {
      case 'leaf':
        return leaves[next++]
      case 'empty':
        return d.value
      case 'list':
        return d.items.map(build)
      case 'dict':
        return Object.fromEntries(d.keys.map((k, i) => [k, build(d.items[i])]))
    }
  }
  const tree = build(def)
  check(next === leaves.length, () => `the structure has ${next} leaves, got ${leaves.length}`)
  return tree
}

/** The number of leaves of a structure. */
export const leafCount = (def: TreeDef): number =>
  def.kind === 'leaf' ? 1 : def.kind === 'empty' ? 0 : def.items.reduce((n, item) => n + leafCount(item), 0)

/** A string that is equal for equal structures. */
export function treeKey(def: TreeDef): string {
  switch (def.kind) {
    case 'leaf':
      return '*'
    case 'empty':
      return def.value === null ? '-' : '~'
    case 'list':
      return `[${def.items.map(treeKey).join(',')}]`
    case 'dict':
      return `{${def.keys.map((k, i) => `${JSON.stringify(k)}:${treeKey(def.items[i])}`).join(',')}}`
  }
}

/**
 * Applies `f` to every leaf. Further trees must have the same structure; `f` also gets their leaves at the same path.
 */
export function treeMap<L, R>(f: (leaf: L, ...rest: L[]) => R, tree: Tree<L>, ...rest: Tree<L>[]): Tree<R> {
  const { leaves, def } = flatten(tree)
  const others = rest.map(r => {
    const flat = flatten(r)
    check(treeKey(flat.def) === treeKey(def), () => `trees differ: ${treeKey(def)} and ${treeKey(flat.def)}`)
    return flat.leaves
  })
  return unflatten(
    def,
    leaves.map((leaf, i) => f(leaf, ...others.map(o => o[i]))),
  )
}

/** The leaves with their paths, keys joined by `/`: `encoder/layers_0/mlp/wi/kernel`. */
export function leavesWithPaths<L>(tree: Tree<L>): [path: string, leaf: L][] {
  const { leaves, def } = flatten(tree)
  return pathsOf(def).map((path, i) => [path, leaves[i]])
}

/** The paths of a structure's leaves, in the order of `flatten`. */
export function pathsOf(def: TreeDef, prefix = ''): string[] {
  const join = (key: string | number): string => (prefix === '' ? String(key) : `${prefix}/${key}`)
  switch (def.kind) {
    case 'leaf':
      return [prefix]
    case 'empty':
      return []
    case 'list':
      return def.items.flatMap((item, i) => pathsOf(item, join(i)))
    case 'dict':
      return def.items.flatMap((item, i) => pathsOf(item, join(def.keys[i])))
  }
}

/** Nested objects from `a/b/c` paths: the inverse of `leavesWithPaths` for trees of objects. */
export function treeFromPaths<L>(entries: Iterable<readonly [string, L]>): { [key: string]: Tree<L> } {
  type Node = { [key: string]: L | Node }
  const root: Node = Object.create(null) as Node
  for (const [path, leaf] of entries) {
    const keys = path.split('/')
    let node = root
    for (const key of keys.slice(0, -1)) node = (node[key] ??= Object.create(null) as Node) as Node
    node[keys[keys.length - 1]] = leaf
  }
  return root as { [key: string]: Tree<L> }
}
