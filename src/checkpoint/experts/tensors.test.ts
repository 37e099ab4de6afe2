import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
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
