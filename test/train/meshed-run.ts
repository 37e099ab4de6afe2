import type { RunConfig } from '../../src/train/config.js'
import { parseMesh } from '../../src/train/parallel/mesh-config.js'
import { config } from './small-run.js'

/** Groups of 16 tokens, without noise: whatever the batch is divided into, the groups stay the same. */
export const meshedModel = {
  model: { ...config.model, numExperts: 4, dropoutRate: 0 },
  router: { ...config.router, maxGroupSize: 16, jitterNoise: 0, expertDropoutRate: 0 },
}

/** A run of 8 rows on a mesh. */
export const meshedRun = (mesh: string, train: Partial<RunConfig['train']> = {}): RunConfig => ({
  ...config,
  model: { ...meshedModel.model, dModel: 16, numHeads: 4 },
  router: meshedModel.router,
  train: {
    ...config.train,
    steps: 10,
    rows: 8,
    logEvery: 1,
    checkpointEvery: 5,
    packing: false,
    schedule: { kind: 'constant', peak: 0.001, warmupSteps: 0 },
    mesh: parseMesh(mesh)!,
    ...train,
  },
})
