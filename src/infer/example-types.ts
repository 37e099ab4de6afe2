import type { Tree } from '../base/pytree.js'
import { ArrayType } from '../engine/api/eval-shape.js'
import type { ModelConfig, StackName } from '../model/config.js'
import { countPositionBiases } from '../model/position-bias.js'

interface Sizes { inputs: number; rows: number; inputLength: number; maxLength: number }

/** Primes, each for one thing, so that a compiler that sees both finds out what depends on what. */
const exampleSizes: readonly [Sizes, Sizes] = [
  { inputs: 101, rows: 107, inputLength: 113, maxLength: 131 },
  { inputs: 103, rows: 109, inputLength: 127, maxLength: 137 },
]

type Types = readonly [Tree<ArrayType>[], Tree<ArrayType>[]]

const atBoth = (types: (sizes: Sizes) => Tree<ArrayType>[]): Types => [types(exampleSizes[0]), types(exampleSizes[1])]

const int32 = (...shape: number[]): ArrayType => new ArrayType('int32', shape)
const float32 = (...shape: number[]): ArrayType => new ArrayType('float32', shape)

const biases = (config: ModelConfig, stack: StackName, length: number): ArrayType[] =>
  Array.from({ length: countPositionBiases(config, stack) }, () => float32(1, config.numHeads, length, length))

/** The types of `encodeInputs`' arguments after the parameters. */
export const encodeTypes = (config: ModelConfig): Types =>
  atBoth(({ inputs, rows, inputLength }) => [int32(inputs, inputLength), int32(rows), biases(config, 'encoder', inputLength)])

/** The types of `decodeStep`'s arguments after the parameters. */
export const decodeTypes = (config: ModelConfig): Types => atBoth(({ rows, inputLength, maxLength }) => {
  const { numHeads, headDim, numDecoderLayers, dtype } = config
  const keysAndValues = (length: number): Tree<ArrayType> => {
    const type = new ArrayType(dtype, [rows, numHeads, length, headDim])
    return { keys: type, values: type }
  }
  const ofLayers = (length: number): Tree<ArrayType> => Array.from({ length: numDecoderLayers }, () => keysAndValues(length))
  const encoded = { cross: ofLayers(inputLength), crossBias: float32(rows, 1, 1, inputLength) }
  return [encoded, biases(config, 'decoder', maxLength), ofLayers(maxLength), int32(rows), int32()]
})
