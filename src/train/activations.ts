import { stackLayers } from '../model/config.js'
import type { ModelConfig, StackName } from '../model/config.js'

/** The sizes of a training step beside the model's. */
export interface StepSizes {
  readonly rows: number
  readonly inputLength: number
  readonly targetLength: number
  /** Whether the backward pass computes each layer's activations again: see `TrainConfig.remat`. */
  readonly remat: boolean
  /** How many slots of experts are computed for each token of a stack. */
  readonly slotsPerToken: Readonly<Record<StackName, number>>
  /** Whether the loss compares with a teacher's logits. Default: false. */
  readonly hasTeacher?: boolean
}

/**
 * How many arrays a step holds for each activation, attention score and logit: the value, its gradient and intermediate
 * results. Fitted to measured runs: see `trainingBytes`.
 */
const COPIES = 1.5
const SCORE_COPIES = 1.7
const LOGIT_COPIES = 3.3
/** A teacher's logits and log-probabilities, and those of the student for the comparison. */
const TEACHER_LOGIT_COPIES = 4

/**
 * An estimate of the elements that a training step keeps for its backward pass, with their gradients. Logits are
 * separate because they are float32 in every model.
 */
export function stepElements(
  model: ModelConfig,
  { rows, inputLength, targetLength, remat, slotsPerToken, hasTeacher = false }: StepSizes,
): { activations: number; logits: number } {
  const { dModel, dFf, numHeads, headDim, vocabSize } = model
  const perToken = (tokens: number, width: number): number => COPIES * tokens * width
  const attention = (queries: number, keys: number): number =>
    perToken(rows * queries, 4 * numHeads * headDim + 3 * dModel) + SCORE_COPIES * rows * numHeads * queries * keys
  const feedForward = (stack: StackName, length: number, sparse: boolean): number =>
    perToken(rows * length, 2 * dFf + 3 * dModel) * (sparse ? slotsPerToken[stack] : 1)
  const encoder = stackLayers(model, 'encoder').map(
    ({ sparse }) => attention(inputLength, inputLength) + feedForward('encoder', inputLength, sparse),
  )
  const decoder = stackLayers(model, 'decoder').map(
    ({ sparse }) =>
      attention(targetLength, targetLength) +
      attention(targetLength, inputLength) +
      feedForward('decoder', targetLength, sparse),
  )
  const logits = (LOGIT_COPIES + (hasTeacher ? TEACHER_LOGIT_COPIES : 0)) * rows * targetLength * vocabSize
  const layers = [...encoder, ...decoder]
  if (!remat) return { activations: layers.reduce((a, b) => a + b, 0), logits }
  // With remat, only the inputs of the layers are kept, and one layer at a time has its activations.
  const inputs = perToken(rows, encoder.length * inputLength + decoder.length * targetLength) * dModel
  return { activations: inputs + Math.max(...layers), logits }
}
