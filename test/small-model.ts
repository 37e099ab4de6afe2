/** The sizes of a model that computes in milliseconds. Each stack has two layers: the second can be sparse. */
export const smallSizes = {
  dModel: 16,
  dFf: 24,
  numHeads: 2,
  headDim: 8,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
} as const
