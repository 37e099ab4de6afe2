/** Runs that are trained on one device and on a mesh of several, to be compared. */
import { mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Checkpoint } from '../../src/checkpoint/native.js'
import { openCheckpoint } from '../../src/train/checkpointing.js'
import type { RunConfig } from '../../src/train/config.js'
import { Trainer } from '../../src/train/trainer.js'
import type { Validation } from '../../src/train/validation.js'
import { meshedRun as runOn } from './meshed-run.js'
import { parameterValues, task } from './small-run.js'

export { runOn }

interface Trained {
  losses: number[]
  /** The loss of each validation. */
  validations: number[]
  values: number[]
}

/** Makes the remaining steps of a run, from a checkpoint if there is one. */
async function finish(run: RunConfig, folder: string, checkpoint?: Checkpoint): Promise<Trained> {
  const [losses, validations]: number[][] = [[], []]
  const values = { task, onValidation: ({ loss }: Validation) => void validations.push(loss) }
  const trainer = checkpoint ? await Trainer.resume(run, checkpoint, values) : await Trainer.begin(run, values)
  await trainer.run(folder, {
    onProgress: ({ record }) => {
      if (record) losses.push(Number(record.loss))
    },
  })
  return { losses, validations, values: await parameterValues(trainer) }
}

/** Within 1e-5 of each other, element by element. `what` names them in messages. */
export const near = (actual: readonly number[], wanted: readonly number[], what = ''): void => {
  expect(actual.length, what).toBe(wanted.length)
  const worst = actual.reduce((most, a, i) => Math.max(most, Math.abs(a - wanted[i])), 0)
  expect(worst, what).toBeLessThan(1e-5)
}

/** Adafactor that factors the small matrices here too. */
export const adafactor: RunConfig['train']['optimizer'] = {
  kind: 'adafactor',
  decayRate: 0.8,
  stepOffset: 0,
  clippingThreshold: 1,
  minSizeToFactor: 8,
  epsilon1: 1e-30,
  epsilon2: 1e-3,
}

interface Variant {
  readonly train?: Partial<RunConfig['train']>
  readonly router?: Partial<RunConfig['router']>
  readonly model?: Partial<RunConfig['model']>
}

/** Runs that differ in what is divided. */
export const variants = {
  Adam: {},
  'Adafactor, no capacity': {
    train: { optimizer: adafactor, validateEvery: 10, validateAnswers: 0 },
    router: { trainCapacityFactor: null },
  },
  'two parts, embeddings that are not tied, and an average': {
    train: { accumulate: 2, averageDecay: 0.9, updateNorm: true, validateEvery: 5, validateAnswers: 0 },
    model: { tiedLogits: false },
  },
  'remat and scanned layers': {
    train: { remat: true, scanLayers: true, steps: 10 },
    model: { numEncoderLayers: 4, encoderSparseLayers: [1, 3] },
  },
  adapters: {
    train: { lora: { rank: 2, alpha: 4, targets: ['query', '**/expert/**/kernel'] }, freeze: ['decoder/**'] },
  },
} satisfies Record<string, Variant>

const runOf = (variant: keyof typeof variants, mesh: string): RunConfig => {
  const { train, router, model }: Variant = variants[variant]
  const run = runOn(mesh, train)
  return { ...run, router: { ...run.router, ...router }, model: { ...run.model, ...model } }
}

/** A name of one of `variants`. */
export type VariantName = keyof typeof variants

/**
 * Checks that a run on a mesh has the losses and parameters of a run on one device, and that it resumes exactly. Both
 * use the default backend. `folder`: an empty one.
 */
export function meshComparison(folder: string): (variant: VariantName, mesh: string) => Promise<void> {
  const single = new Map<string, Promise<Trained>>()

  const onOne = async (variant: VariantName): Promise<Trained> => {
    const known = single.get(variant)
    if (known) return known
    const made = finish(runOf(variant, 'data=1'), join(folder, `${variant} single`))
    single.set(variant, made)
    return made
  }

  async function check(variant: VariantName, mesh: string): Promise<void> {
    const one = await onOne(variant)
    const run = await mkdtemp(join(folder, mesh))
    const { losses, validations, values } = await finish(runOf(variant, mesh), run)
    near(losses, one.losses)
    near(validations, one.validations)
    near(values, one.values)

    const read = (name: string): Promise<Buffer> => readFile(join(run, 'step-10', name))
    const files = await Promise.all(['params.safetensors', 'optimizer.safetensors'].map(read))
    // The checkpoint of step 5 goes on as the run did, bit for bit, on the same mesh; on one device, nearly so.
    const resume = async (on: string, into: string): Promise<Trained> => {
      const checkpoint = await openCheckpoint(join(run, 'step-5'))
      try {
        return await finish(runOf(variant, on), into, checkpoint)
      } finally {
        await checkpoint.close()
      }
    }
    near((await resume('data=1', `${run} on one`)).values, one.values)
    expect((await resume(mesh, run)).values).toEqual(values)
    expect(await Promise.all(['params.safetensors', 'optimizer.safetensors'].map(read))).toEqual(files)
  }

  return check
}
