import { afterEach, beforeEach, expect, it } from 'vitest'
import { ConfigError } from '../../base/errors.js'
import { defaultEngine, setBackend } from '../../engine/api/engine.js'
import type { Backend } from '../../engine/compile/backend.js'
import { referenceBackend } from '../../engine/compile/reference/backend.js'
import { recipes } from '../../config/recipes.js'
import { openDevices } from './mesh.js'

let before: Backend
beforeEach(() => {
  before = defaultEngine().backend
})
afterEach(() => {
  setBackend(before)
})

const withMesh = (data: number): Parameters<typeof openDevices>[0] => ({
  model: recipes.g2p.model,
  train: { ...recipes.g2p.train, mesh: { data, expert: 1, tensor: 1 } },
})

it('refuses a mesh of more GPUs than there are, and opens no second client', async () => {
  const gpus: Backend = {
    ...referenceBackend,
    name: 'xla',
    numDevices: 2,
    hasOwnMemory: true,
    describe: async () => 'XLA, 2 x NVIDIA H100',
  }
  setBackend(gpus)
  await openDevices(withMesh(2))
  const refused = openDevices(withMesh(4))
  await expect(refused).rejects.toBeInstanceOf(ConfigError)
  await expect(refused).rejects.toThrow(
    'train.mesh data=4 needs 4 devices, and this machine has 2 (XLA, 2 x NVIDIA H100): ' +
      'make its sizes multiply to 2, as in --mesh data=2,',
  )
  expect(defaultEngine().backend).toBe(gpus)
})

it('refuses a mesh that does not divide the batch before it makes devices', async () => {
  setBackend({ ...referenceBackend, name: 'xla' })
  await expect(openDevices(withMesh(512))).rejects.toThrow(
    'train.mesh data=512: data x expert is 512, which does not divide the rows computed together',
  )
})
