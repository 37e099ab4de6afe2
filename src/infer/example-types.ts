import type { Tree } from '../base/pytree.js'
import { TensorType } from '../engine/api/eval-shape.js'
import type { ExampleTypes } from '../engine/api/specialize.js'
import type { ModelConfig } from '../model/config.js'
import { countPositionBiases } from '../model/position-bias.js'

interface Sizes {
  inputs: number
  /** The tokens of a part of each input, and those before and after it: see encode.ts. */
  part: number
  before: number
  after: number
  /** The positions of the part for which the encoder gives its state, and for which its last stage runs. */
  kept: number
  finished: number
  rows: number
  /** How many rows are written at once, and how many rows' logits are read. */
  written: number
  inputLength: number
  length: number
}

/**
 * Three examples of the sizes of a batch. `specialize` compares programs traced for them to find which size each
 * dimension depends on. They are different primes that grow by different factors, so that no two sizes can be confused.
 */
const exampleSizes: readonly [Sizes, Sizes, Sizes] = [
  {
    inputs: 3,
    part: 13,
    before: 17,
    after: 19,
    kept: 29,
    finished: 23,
    rows: 5,
    written: 2,
    inputLength: 7,
    length: 11,
  },
  {
    inputs: 101,
    part: 503,
    before: 601,
    after: 701,
    kept: 907,
    finished: 809,
    rows: 211,
    written: 53,
    inputLength: 307,
    length: 401,
  },
  {
    inputs: 1009,
    part: 2503,
    before: 4507,
    after: 5003,
    kept: 7001,
    finished: 6007,
    rows: 2003,
    written: 1301,
    inputLength: 3001,
    length: 4001,
  },
]

const atAll = (types: (sizes: Sizes) => Tree<TensorType>[]): ExampleTypes => [
  types(exampleSizes[0]),
  types(exampleSizes[1]),
  types(exampleSizes[2]),
]

const int32 = (...shape: number[]): TensorType => new TensorType('int32', shape)
const float32 = (...shape: number[]): TensorType => new TensorType('float32', shape)

/** An encoder's relative position biases: see `InputBiases`. */
const biasTypes = (config: ModelConfig, inputs: number, queries: number, length: number): TensorType[] =>
  Array.from({ length: countPositionBiases(config, 'encoder') }, () =>
    float32(inputs, config.numHeads, queries, length),
  )

/** The keys and values of one layer. */
function keyTypes(
  { numHeads, headDim, dtype }: ModelConfig,
  rows: number,
  length: number,
): { keys: TensorType; values: TensorType } {
  const type = new TensorType(dtype, [rows, numHeads, length, headDim])
  return { keys: type, values: type }
}

/** A `LayerMemory`. */
const memoryTypes = (config: ModelConfig, rows: number, length: number): Tree<TensorType>[] =>
  Array.from({ length: config.numDecoderLayers }, () => keyTypes(config, rows, length))

/** The types of `PartInputs`. */
function partInputTypes(config: ModelConfig, { inputs, part, before, after }: Sizes): Tree<TensorType> {
  return {
    ids: int32(inputs, part),
    before: keyTypes(config, inputs, before),
    after: keyTypes(config, inputs, after),
    biases: biasTypes(config, inputs, part, before + part + after),
  }
}

/** The types of a `PartState`. */
function stateTypes(config: ModelConfig, { inputs, part }: Sizes): Tree<TensorType> {
  const keys = keyTypes(config, inputs, part)
  return { x: float32(inputs, part, config.dModel), self: { ...keys, queries: keys.keys } }
}

/** The types of the arguments of the encoder's first stage after the parameters. */
export const startTypes = (config: ModelConfig): ExampleTypes => atAll(sizes => [partInputTypes(config, sizes)])

/** The types of the arguments of the stage of a layer after the parameters. */
export const layerTypes = (config: ModelConfig): ExampleTypes =>
  atAll(sizes => [partInputTypes(config, sizes), stateTypes(config, sizes)])

/** The types of the arguments of the encoder's last stage after the parameters. */
export const finishTypes = (config: ModelConfig): ExampleTypes =>
  atAll(sizes => [partInputTypes(config, sizes), float32(sizes.inputs, sizes.part, config.dModel)])

/** The types of `encodePart`'s arguments after the parameters. */
export const encodeTypes = (config: ModelConfig): ExampleTypes =>
  atAll(sizes => [
    partInputTypes(config, sizes),
    stateTypes(config, sizes),
    int32(2),
    { kept: int32(sizes.kept), finished: int32(sizes.finished) },
  ])

/** The types of `writeRows`' arguments. */
export const writeTypes = (config: ModelConfig): ExampleTypes =>
  atAll(({ inputs, rows, written, inputLength, length }) => [
    memoryTypes(config, rows, length),
    memoryTypes(config, inputs, inputLength),
    int32(written),
    int32(written),
  ])

/** The types of the arguments of `batchEncoder`'s function after the weights. */
export const vectorTypes = (config: ModelConfig): ExampleTypes =>
  atAll(({ inputs, inputLength }) => [
    int32(inputs, inputLength),
    int32(),
    biasTypes(config, 1, inputLength, inputLength),
  ])

/** The types of `decodeStep`'s arguments after the parameters. */
export const decodeTypes = (config: ModelConfig): ExampleTypes =>
  atAll(({ rows, inputLength, length, written: asked }) => [
    { cross: memoryTypes(config, rows, inputLength), crossBias: float32(rows, 1, 1, inputLength) },
    {
      at: int32(rows, config.numHeads, 3),
      selfBiases: Array.from({ length: countPositionBiases(config, 'decoder') }, () =>
        float32(rows, config.numHeads, 1, length),
      ),
    },
    memoryTypes(config, rows, length),
    int32(rows),
    int32(asked),
  ])
