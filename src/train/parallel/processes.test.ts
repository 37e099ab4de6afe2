import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { onnxBackend, setBackend } from '../../engine/api/engine.js'
import { referenceBackend } from '../../engine/compile/reference/backend.js'
import { jobAsBackend } from '../../../test/processes/local-job.js'
import { meshComparison } from '../../../test/train/mesh-runs.js'
import type { VariantName } from '../../../test/train/mesh-runs.js'

/** Four processes, each with ONNX Runtime, that exchange data within this one. */
describe('a training on several processes', () => {
  let folder: string
  let check: (variant: VariantName, mesh: string) => Promise<void>
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
    check = meshComparison(folder)
    setBackend(await jobAsBackend(4, onnxBackend))
  })
  afterAll(async () => {
    setBackend(referenceBackend)
    await rm(folder, { recursive: true })
  })

  it.each<[VariantName, string]>([
    ['Adafactor, no capacity', 'expert=4'],
    ['two parts, embeddings that are not tied, and an average', 'data=2,expert=2'],
    ['remat and scanned layers', 'data=2,expert=2'],
  ])('%s, %s: makes the losses and parameters of one device, and resumes exactly', (variant, mesh) =>
    check(variant, mesh),
  )
})
