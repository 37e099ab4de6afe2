import type { Node } from '../proto.js'

/**
 * The ragged product: a matrix product in which each group of rows has its own kernel. Inputs: x [rows, in], group
 * sizes (int64) [groups], and the kernels of all groups: one tensor [groups, in, out], or two if they are quantized
 * (integers and scales, see rules/composites.ts; the attribute `integers` says that they are by column). ONNX has no
 * such operator: rules write it as one node, which `expandRaggedDots` replaces by ONNX's operators.
 */
export const RAGGED_DOT = 'RaggedDot'
/**
 * The product of each group's rows of x [rows, in], transposed, with its rows of y [rows, out]: the gradient of a
 * ragged product in its kernels. Inputs: x, group sizes (int64) [groups], y. `expandRaggedDots` replaces it too.
 */
export const RAGGED_OUTER = 'RaggedOuter'
/** The ONNX domain of operators that exist only until they are expanded. */
export const SWITCHYARD_DOMAIN = 'switchyard'

/** Whether a node is a ragged product. */
export const isRagged = ({ domain, op }: Node): boolean => domain === SWITCHYARD_DOMAIN && op === RAGGED_DOT
/** The name of the group sizes of a ragged product. */
export const sizesOf = ({ inputs }: Node): string => inputs[1]
/** The names of the kernels of a ragged product. */
export const kernelsOf = ({ inputs }: Node): readonly string[] => inputs.slice(2)
