/** The node of the empty string. */
export const ROOT = 0
/** The result of `child` and `idAt` if there is no node or id. */
export const NONE = -1

/**
 * A set of strings with ids. One walk, code unit by code unit (UTF-16), finds all members that start at a position of a
 * text. A vocabulary has a million edges, so they are stored in one open-addressing hash table over typed arrays: an
 * edge's slot number plus one is the node that it leads to.
 */
export class PieceTrie {
  private readonly mask: number
  /** parent * 2^16 + code unit + 1; 0 for a free slot. */
  private readonly edges: Float64Array
  /** The id of the string that ends at a slot's node, plus one; 0 for none. */
  private readonly ids: Int32Array

  constructor(strings: readonly (readonly [text: string, id: number])[]) {
    const units = strings.reduce((sum, [text]) => sum + text.length, 0)
    const capacity = 2 ** Math.ceil(Math.log2(1.5 * units + 2))
    this.mask = capacity - 1
    this.edges = new Float64Array(capacity)
    this.ids = new Int32Array(capacity)
    for (const [text, id] of strings) this.add(text, id)
  }

  /** The child of a node for a code unit. */
  child(node: number, unit: number): number {
    const slot = this.slot(node, unit)
    return this.edges[slot] === 0 ? NONE : slot + 1
  }

  /** The id of the string that ends at a node other than the root. */
  idAt(node: number): number {
    return this.ids[node - 1] - 1
  }

  private add(text: string, id: number): void {
    let node = ROOT
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      const slot = this.slot(node, unit)
      this.edges[slot] = edge(node, unit)
      node = slot + 1
    }
    this.ids[node - 1] = id + 1
  }

  /** The slot of an edge, or the free slot where it belongs. */
  private slot(node: number, unit: number): number {
    const wanted = edge(node, unit)
    const hash = Math.imul(node ^ Math.imul(unit, 0x85ebca6b), 0x9e3779b1)
    let slot = (hash ^ (hash >>> 15)) & this.mask
    while (this.edges[slot] !== 0 && this.edges[slot] !== wanted) slot = (slot + 1) & this.mask
    return slot
  }
}

const edge = (node: number, unit: number): number => node * 0x10000 + unit + 1
