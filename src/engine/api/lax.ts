/** The primitives on arrays, and loops and branches: the level below `np`. */
export * from './lax/primitives.js'
export { cond, foriLoop, scan, switchBranch, whileLoop } from './lax/control-flow.js'
export type { ScanOptions } from './lax/control-flow.js'
