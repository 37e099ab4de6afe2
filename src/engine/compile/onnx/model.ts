import type { DType } from '../../../base/dtypes.js'
import { sizeOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { Aval } from '../../program/aval.js'
import type { Program } from '../../program/program.js'
import { inChunks, MAX_STEPS, sortingSteps } from './chunks.js'
import { GraphWriter } from './graph.js'
import type { Lowered } from './graph.js'
import { lowerProgram } from './lower.js'
import type { GraphInfo } from './proto.js'

/**
 * The type in which a tensor enters or leaves a model. float16 and bfloat16 are passed as their bits: ONNX Runtime's
 * JavaScript API has no bfloat16, and where JavaScript has a Float16Array (Node 24 and later) it refuses float16 in a
 * Uint16Array.
 */
const boundaryType = (dtype: DType): DType => (dtype === 'bfloat16' || dtype === 'float16' ? 'uint16' : dtype)

/** The tensor in the type in which it enters or leaves a model, on the same memory. */
export const atBoundary = (tensor: HostTensor): HostTensor => {
  const { dtype, shape, data } = tensor
  const type = boundaryType(dtype)
  return type === dtype ? tensor : { dtype: type, shape, data }
}

/**
 * A program as an ONNX graph: inputs `x0, x1, ...`, outputs `y0, y1, ...`. The graph is right for other sizes too, even
 * empty ones, once its constants are (see generalize.ts).
 */
export const toGraph = (program: Program): GraphInfo => write(program, true).graph

/**
 * A graph for the program's sizes alone, cut into chunks if ONNX Runtime would take more than `maxSteps` to sort it.
 */
export function toGraphInChunks(program: Program, maxSteps = MAX_STEPS): GraphInfo {
  const { graph, types, writer } = write(program, false)
  return sortingSteps(graph.nodes) > maxSteps ? inChunks(graph, types, writer) : graph
}

function write(
  program: Program,
  servesAllSizes: boolean,
): { graph: GraphInfo; types: ReadonlyMap<string, Lowered>; writer: GraphWriter } {
  const writer = new GraphWriter(undefined, servesAllSizes)
  const inputs = program.inputs.map(({ aval: { dtype, shape } }, i): Lowered => ({
    name: `x${i}`,
    dtype: boundaryType(dtype),
    shape,
  }))
  const values = inputs.map((x, i) => writer.bitcast(x, program.inputs[i].aval.dtype))
  const results = lowerProgram(writer, program, values)
  const { graph, types } = writer.finish(
    inputs,
    results.map((value, i) => ({ name: `y${i}`, value: leaving(writer, value, program.outputs[i].aval) })),
  )
  return { graph, types, writer }
}

/**
 * A result in the type in which it leaves the model. (An empty one is a constant: BitCast of no elements fails in ONNX
 * Runtime 1.30.)
 */
function leaving(g: GraphWriter, value: Lowered, { dtype, shape }: Aval): Lowered {
  const type = boundaryType(dtype)
  return sizeOf(shape) === 0 ? g.expand(g.scalar(type, 0), shape) : g.bitcast(value, type)
}
