import { range } from '../../../program/ops.js'
import { makeNode } from '../nodes.js'
import type { Node } from '../proto.js'
import { ints } from './tensors.js'
import type { GraphTensors } from './tensors.js'

/** `RaggedOuter` in ONNX's operators: one product for each group. A product of no rows is 0. */
export function outerProducts(node: Node, tensors: GraphTensors): Node[] {
  const [x, sizes, y] = node.inputs
  const [out] = node.outputs
  const groups = range(node.attributes.groups as number)
  const each = (kind: string): string[] => groups.map(group => `${out}_${kind}${group}`)
  const [xs, ys, products, slabs] = [each('x'), each('y'), each('product'), each('slab')]
  const name = (part: string): string => `${out}_${part}`
  // The rows after the last group are split off: there may be more rows than the groups have together.
  return [
    makeNode('ReduceSum', [sizes], [name('groupedRows')], { keepdims: 1 }),
    makeNode('Shape', [x], [name('rows')], { start: 0, end: 1 }),
    makeNode('Sub', [name('rows'), name('groupedRows')], [name('rest')]),
    makeNode('Concat', [sizes, name('rest')], [name('parts')], { axis: 0 }),
    makeNode('Split', [x, name('parts')], [...xs, name('xRest')], { axis: 0 }),
    makeNode('Split', [y, name('parts')], [...ys, name('yRest')], { axis: 0 }),
    ...groups.flatMap(i => [
      makeNode('FusedMatMul', [xs[i], ys[i]], [products[i]], { transA: 1 }, 'com.microsoft'),
      makeNode('Unsqueeze', [products[i], ints([0], tensors)], [slabs[i]]),
    ]),
    makeNode('Concat', slabs, [out], { axis: 0 }),
  ]
}
