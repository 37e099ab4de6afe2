import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it, vi } from 'vitest'
import { toNumbers } from '../../base/host-tensor.js'
import { openWeights } from '../../open/open-weights.js'
import { upcycle } from './upcycling.js'

const dense = resolve(import.meta.dirname, '../../../test/fixtures/t5-v1_0')

it('upcycle writes a model in the format of the dense one, and reports its sizes', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'switchyard-upcycle-'))
  const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  try {
    const folder = join(scratch, 'sparse')
    // The dense model has no vocabulary, and so neither has the sparse one.
    await expect(upcycle(dense, folder, { experts: 4, encoderEvery: 1, decoderEvery: 0, seed: 0 })).rejects.toThrow(
      `written to ${folder}, but infer cannot open it: ${folder}: there is no vocabulary`,
    )
    const report = printed.mock.calls.flat().join('\n')
    expect(report).toMatch(
      /[\d,]+ parameters became [\d,]+ parameters, of which [\d,]+ are used per token\nsparse layers: encoder 0, /,
    )
    expect(report).not.toContain('; decoder')
    const [source, sparse] = [await openWeights(dense), await openWeights(folder)]
    expect(sparse.container).toBe(source.container)
    expect(sparse.model).toMatchObject({ numExperts: 4, encoderSparseLayers: [0, 1], decoderSparseLayers: [] })
    const [before, after] = [
      await source.read('encoder/layers_0/mlp/wo/kernel'),
      await sparse.read('encoder/layers_0/mlp/expert/wo/kernel'),
    ]
    expect(after.shape).toEqual([4, ...before.shape])
    const expected = toNumbers(before).map(x => 4 * x)
    expect(toNumbers(after)).toEqual([...expected, ...expected, ...expected, ...expected])
    await Promise.all([source.close(), sparse.close()])
    await expect(
      upcycle(folder, join(scratch, 'again'), { experts: 4, encoderEvery: 1, decoderEvery: 0, seed: 0 }),
    ).rejects.toThrow('the model has experts already')
  } finally {
    vi.restoreAllMocks()
    await rm(scratch, { recursive: true })
  }
})
