import { afterEach, expect, it, vi } from 'vitest'
import { enterJob } from './job.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

it('a command of one process may be the only process that mpiexec starts, and not one of several', async () => {
  vi.stubEnv('PMI_SIZE', '1')
  expect(await enterJob('infer')).toBe(false)
  vi.stubEnv('PMI_SIZE', '2')
  await expect(enterJob('infer')).rejects.toThrow(
    'infer runs as one process, and was started as 2: start it without mpiexec',
  )
})
