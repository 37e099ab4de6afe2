import { expect, it } from 'vitest'
import { FileError } from '../base/errors.js'
import { loadForInference } from '../infer/load.js'
import { declareParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import { checkComplete, newWeights, readParameters } from './weights.js'

it('a mismatch lists at most ten names of each kind, and how many more there are', () => {
  const names = Array.from({ length: 1012 }, (_, i) => `w${i}`)
  const check = (missing: string[], surplus: string[]) => () =>
    checkComplete('folder', { missing, surplus, misshapen: [] })
  expect(check([], [])).not.toThrow()
  expect(check(names, ['a'])).toThrow(FileError)
  expect(check(names, ['a'])).toThrow(
    'missing: 1,012 ("w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9" and 1,002 more)',
  )
  expect(check(names.slice(0, 10), ['a'])).toThrow(/"w9"\)\n.*: 1 \("a"\)$/)
})

it('a stack of experts that one array cannot hold is refused before it is read', async () => {
  const { model, router } = preset('switch-xxl-128')
  const specs = declareParameters(model, router).filter(({ role }) => role === 'expertKernel')
  const weights = { ...newWeights('xxl', model, router, 0), specs }
  const message =
    'xxl: encoder/layers_1/mlp/expert/wi_0/kernel [128, 4096, 10240] takes 20.00 GiB in memory, and one array holds at most 4.00 GiB: give --experts-memory, which reads experts one by one'
  await expect(readParameters(weights)).rejects.toThrow(message)
  await expect(loadForInference(weights)).rejects.toThrow(message)
  await expect(loadForInference(weights, 8)).rejects.toThrow('takes 5.00 GiB in memory')
})
