import protobuf from 'protobufjs/minimal.js'
import type { DType } from '../../../base/dtypes.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { bytesOf, bytesOfType } from '../../../base/host-tensor.js'
import type { FileTensor } from '../../../base/stored-tensor.js'

/** The types that a value can have inside a graph: all dtypes, and uint64, in which int64 is shifted. */
export type ElementType = DType | 'uint64'

/** ONNX's numbers for element types (onnx.proto, TensorProto.DataType). */
export const elementTypes: { readonly [D in ElementType]: number } = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
}

export type Attribute = number | string | readonly number[] | { float: number } | { graph: GraphInfo }

export interface Node {
  op: string
  domain: string
  inputs: readonly string[]
  outputs: readonly string[]
  attributes: { readonly [name: string]: Attribute }
}

/** A graph, or the body of a node. */
export interface GraphInfo {
  nodes: readonly Node[]
  initializers: ReadonlyMap<string, HostTensor>
  /** Large initializers, which are not copied into the serialized model: the session gets them separately, by name. */
  weights?: ReadonlyMap<string, Weight>
  inputs: readonly ValueInfo[]
  outputs: readonly ValueInfo[]
  /** The inputs after the program's own: each is one index of an input's first axis, in the same memory. */
  parts?: readonly InputPart[]
}

/** A large initializer: in memory, or in one piece of a file, which the session reads itself. */
export type Weight = HostTensor | FileTensor

export const isInFile = (weight: Weight): weight is FileTensor => 'pieces' in weight

/** A view of an input of a graph: `input` is its position, `index` an index of its first axis. */
export interface InputPart {
  readonly input: number
  readonly index: number
}

export interface ValueInfo {
  name: string
  dtype: ElementType
  /** The length of each axis, or a name for one that is known only at run time. */
  shape: readonly (number | string)[]
  /** Whether the value is a list of such tensors. */
  isSequence?: boolean
}

/** The version of ONNX's operators. 26 is the first with BitCast. */
const OPSET = 26
const IR_VERSION = 10
/** Data that is not in the model itself (onnx.proto, TensorProto.DataLocation). */
const EXTERNAL = 1

/** Serializes a graph as an ONNX model (field numbers: onnx.proto). */
export function encodeModel(graph: GraphInfo): Uint8Array {
  const w = new protobuf.Writer()
  w.uint32(field(1, 0)).int64(IR_VERSION)
  for (const [domain, version] of [
    ['', OPSET],
    ['com.microsoft', 1],
  ] as const) {
    w.uint32(field(8, 2)).fork().uint32(field(1, 2)).string(domain).uint32(field(2, 0)).int64(version).ldelim()
  }
  w.uint32(field(7, 2)).fork()
  encodeGraph(w, graph)
  return w.ldelim().finish()
}

function encodeGraph(w: protobuf.Writer, graph: GraphInfo): void {
  for (const node of graph.nodes) encodeNode(w, node)
  w.uint32(field(2, 2)).string('program')
  for (const [name, tensor] of graph.initializers) {
    w.uint32(field(5, 2)).fork()
    for (const d of tensor.shape) w.uint32(field(1, 0)).int64(d)
    w.uint32(field(2, 0)).int32(elementTypes[tensor.dtype]).uint32(field(8, 2)).string(name)
    w.uint32(field(9, 2)).bytes(bytesOf(tensor)).ldelim()
  }
  for (const [name, tensor] of graph.weights ?? []) {
    w.uint32(field(5, 2)).fork()
    for (const d of tensor.shape) w.uint32(field(1, 0)).int64(d)
    w.uint32(field(2, 0)).int32(elementTypes[tensor.dtype]).uint32(field(8, 2)).string(name)
    for (const [key, value] of [
      ['location', isInFile(tensor) ? locationOf(tensor.pieces[0].file) : name],
      ['offset', String(isInFile(tensor) ? tensor.pieces[0].offset : 0)],
      ['length', String(bytesOfType(tensor))],
    ]) {
      w.uint32(field(13, 2)).fork().uint32(field(1, 2)).string(key).uint32(field(2, 2)).string(value).ldelim()
    }
    w.uint32(field(14, 0)).int32(EXTERNAL).ldelim()
  }
  for (const [number, values] of [
    [11, graph.inputs],
    [12, graph.outputs],
  ] as const) {
    for (const { name, dtype, shape, isSequence } of values) {
      w.uint32(field(number, 2)).fork().uint32(field(1, 2)).string(name)
      w.uint32(field(2, 2)).fork()
      if (isSequence) w.uint32(field(4, 2)).fork().uint32(field(1, 2)).fork()
      w.uint32(field(1, 2)).fork().uint32(field(1, 0)).int32(elementTypes[dtype])
      w.uint32(field(2, 2)).fork()
      for (const d of shape) {
        w.uint32(field(1, 2)).fork()
        if (typeof d === 'number') w.uint32(field(1, 0)).int64(d)
        else w.uint32(field(2, 2)).string(d)
        w.ldelim()
      }
      w.ldelim().ldelim()
      if (isSequence) w.ldelim().ldelim()
      w.ldelim().ldelim()
    }
  }
}

/** A file's place in the model: relative to the root of its disk, which the session is told (see node.ts). */
const locationOf = (file: string): string => file.replace(/^([A-Za-z]:)?[\\/]/, '')

/** The tag of a protobuf field. Wire types: 0 is a varint, 2 a length-prefixed value, 5 four bytes. */
const field = (number: number, wireType: number): number => (number << 3) | wireType

function encodeNode(w: protobuf.Writer, { op, domain, inputs, outputs, attributes }: Node): void {
  w.uint32(field(1, 2)).fork()
  for (const name of inputs) w.uint32(field(1, 2)).string(name)
  for (const name of outputs) w.uint32(field(2, 2)).string(name)
  w.uint32(field(4, 2)).string(op)
  for (const [name, value] of Object.entries(attributes)) {
    w.uint32(field(5, 2)).fork().uint32(field(1, 2)).string(name)
    if (typeof value === 'number') w.uint32(field(3, 0)).int64(value).uint32(field(20, 0)).int32(2)
    else if (typeof value === 'string') w.uint32(field(4, 2)).string(value).uint32(field(20, 0)).int32(3)
    else if ('graph' in value) {
      w.uint32(field(6, 2)).fork()
      encodeGraph(w, value.graph)
      w.ldelim().uint32(field(20, 0)).int32(5)
    } else if ('float' in value) w.uint32(field(2, 5)).float(value.float).uint32(field(20, 0)).int32(1)
    else {
      for (const n of value) w.uint32(field(8, 0)).int64(n)
      w.uint32(field(20, 0)).int32(7)
    }
    w.ldelim()
  }
  if (domain !== '') w.uint32(field(7, 2)).string(domain)
  w.ldelim()
}
