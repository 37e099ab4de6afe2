/** The sizes of a model that computes in milliseconds, with two layers in each stack, so that the second can be sparse. */
export const smallSizes = {
  dModel: 16,
  dFf: 24,
  numHeads: 2,
  headDim: 8,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
} as const
