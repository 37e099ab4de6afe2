import type { Tree } from '../base/pytree.js'
import { TensorType } from '../engine/api/eval-shape.js'
import type { ExampleTypes } from '../engine/api/specialize.js'
import type { ModelConfig, StackName } from '../model/config.js'
import { countPositionBiases } from '../model/position-bias.js'

interface Sizes {
  inputs: number
  rows: number
  inputLength: number
  maxLength: number
}

/**
 * Three examples of the sizes of a batch. `specialize` compares programs traced for them to find which size each
 * dimension depends on. They are different primes that grow by different factors, so that no two sizes can be confused.
 */
const exampleSizes: readonly [Sizes, Sizes, Sizes] = [
  { inputs: 3, rows: 5, inputLength: 7, maxLength: 11 },
  { inputs: 101, rows: 211, inputLength: 307, maxLength: 401 },
  { inputs: 1009, rows: 2003, inputLength: 3001, maxLength: 4001 },
]

const atAll = (types: (sizes: Sizes) => Tree<TensorType>[]): ExampleTypes => [
  types(exampleSizes[0]),
  types(exampleSizes[1]),
  types(exampleSizes[2]),
]

const int32 = (...shape: number[]): TensorType => new TensorType('int32', shape)
const float32 = (...shape: number[]): TensorType => new TensorType('float32', shape)

const biases = (config: ModelConfig, stack: StackName, length: number): TensorType[] =>
  Array.from({ length: countPositionBiases(config, stack) }, () => float32(1, config.numHeads, length, length))

/** The types of `encodeInputs`' arguments after the parameters. */
export const encodeTypes = (config: ModelConfig): ExampleTypes =>
  atAll(({ inputs, rows, inputLength }) => [
    int32(inputs, inputLength),
    int32(rows),
    biases(config, 'encoder', inputLength),
  ])

/** The types of the arguments of `batchEncoder`'s function after the weights. */
export const vectorTypes = (config: ModelConfig): ExampleTypes =>
  atAll(({ inputs, inputLength }) => [int32(inputs, inputLength), int32(), biases(config, 'encoder', inputLength)])

/** The types of `decodeStep`'s arguments after the parameters. */
export const decodeTypes = (config: ModelConfig): ExampleTypes =>
  atAll(({ rows, inputLength, maxLength }) => {
    const { numHeads, headDim, numDecoderLayers, dtype } = config
    const keysAndValues = (length: number): Tree<TensorType> => {
      const type = new TensorType(dtype, [rows, numHeads, length, headDim])
      return { keys: type, values: type }
    }
    const ofLayers = (length: number): Tree<TensorType> =>
      Array.from({ length: numDecoderLayers }, () => keysAndValues(length))
    const encoded = { cross: ofLayers(inputLength), crossBias: float32(rows, 1, 1, inputLength) }
    return [encoded, biases(config, 'decoder', maxLength), ofLayers(maxLength), int32(rows), int32()]
  })
