import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileError } from '../../base/errors.js'
import { partOf, tensorFromBytes } from '../../base/host-tensor.js'
import { transposeMatrix } from '../layout.js'
import { openHfWeights } from '../names/hf-folder.js'
import { expertsOf } from './from-weights.js'
import { partBytes } from './source.js'

describe.each(['switch-tiny', 'switch-tiny-sharded', 'switch-tiny-bin', 'switch-tiny-bin-sharded', 'switch-bf16'])(
  'experts of the folder %s',
  folder => {
    it('are read from where their tensors lie, as they are stored', async () => {
      const weights = await openHfWeights(join('test/fixtures', folder))
      const source = await expertsOf(weights)
      const [stack] = source.stacks
      expect(stack.parts.every(({ isTransposed }) => isTransposed)).toBe(true)
      const page = new Uint8Array(stack.bytes)
      await source.read(0, 1, page)
      expect(source.traffic().disk).toBe(stack.parts.reduce((sum, part) => sum + partBytes(part), 0))
      for (const part of stack.parts) {
        const stored = tensorFromBytes(part.dtype, part.shape, page.slice(part.offset, part.offset + partBytes(part)))
        expect(transposeMatrix(stored)).toEqual(partOf(await weights.read(part.parameter), 1))
      }
      await source.close()
      await weights.close()
    })
  },
)

it('a source that copies what weights read names the expert that cannot be read', async () => {
  const { experts: _, ...weights } = await openHfWeights('test/fixtures/switch-tiny')
  const readExpert = (): never => {
    throw new FileError('0.0.0: the chunk is damaged')
  }
  const source = await expertsOf({ ...weights, readExpert })
  await expect(source.read(0, 1, new Uint8Array(source.stacks[0].bytes))).rejects.toThrow(
    /^0.0.0: the chunk is damaged; expert 1 of encoder.layers_1.mlp.expert was to be read$/,
  )
  await source.close()
  await weights.close()
})
