import { expect, it } from 'vitest'
import { openBackend } from './open-backend.js'
import type { BackendName } from './open-backend.js'
import type { XlaOptions } from '../compile/xla/options.js'

it('refuses a backend and options that it does not know', async () => {
  const wrong = { devices: 4 } as XlaOptions
  await expect(openBackend('xla', wrong)).rejects.toThrow(
    'openBackend has no option devices: its options are { plugin, platform, cpuDevices, memoryFraction, preallocate, cache }',
  )
  await expect(openBackend('onnx', { cpuDevices: 4 })).rejects.toThrow(
    'the backend onnx has no options: cpuDevices can be given for xla alone',
  )
  await expect(openBackend('cuda' as BackendName, { cpuDevices: 4 })).rejects.toThrow(
    'there is no backend "cuda": choose one of onnx, xla, reference',
  )
  expect((await openBackend('reference', {})).name).toBe('reference')
})
