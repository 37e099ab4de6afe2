import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileError } from '../base/errors.js'
import { hostFrom, toNumbers } from '../base/host-tensor.js'
import { readTensors } from './format.js'
import { loadCheckpoint, native, saveCheckpoint } from './native.js'
import { listCheckpoints } from './run-folder.js'

let run: string
beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), 'switchyard-checksum-'))
})
afterEach(() => rm(run, { recursive: true, force: true }))

const content = (step: number, best?: number) => ({
  step,
  config: { rate: 3e-3, 7: 'a number as a key' },
  task: ['letters', null],
  data: { epoch: 2 },
  seed: 42,
  backendVersion: 'onnxruntime-node 1.30.0',
  threads: 2,
  libraryVersion: '0.1.0',
  params: new Map([['w', hostFrom('float32', [2, 3], [1, 2, 3, 4, 5, 6])]]),
  optimizer: new Map([['m', hostFrom('float32', [4], [0.1, -0.2, 0.3, 1e-9])]]),
  ...(best === undefined ? {} : { best: { step: best, figure: 'loss', value: 0.5 } }),
})

/** Everything in a checkpoint, as a text. */
async function everything(folder: string): Promise<string> {
  const { params, optimizer, state: _state, close, folder: _folder, ...info } = await loadCheckpoint(folder)
  try {
    const tensors = await Promise.all([params, optimizer!].map(readTensors))
    return JSON.stringify([info, tensors.map(map => [...map])])
  } finally {
    await close()
  }
}

describe('checksums', () => {
  it('show a flipped bit anywhere in the files of a checkpoint', async () => {
    const folder = await saveCheckpoint(run, content(7, 7))
    const expected = await everything(folder)
    let unnoticed = 0
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const bytes = await readFile(path)
      // Every fifth byte: the bytes of each number are met in turn.
      for (let i = Math.floor(5 * Math.random()); i < bytes.length; i += 5) {
        bytes[i] ^= 1 << (i % 8)
        await writeFile(path, bytes)
        const read = await everything(folder).catch((error: unknown) => {
          if (!(error instanceof FileError)) throw error
          return undefined
        })
        // Whitespace between the tokens of JSON may change without an effect.
        if (read !== undefined) unnoticed++
        expect([undefined, expected], `byte ${i} of ${name}`).toContain(read)
        bytes[i] ^= 1 << (i % 8)
      }
      await writeFile(path, bytes)
    }
    expect(unnoticed).toBeLessThan(20)
  })

  it('name the damaged tensor, and are read by the format of parameters too', async () => {
    const folder = await saveCheckpoint(run, content(7))
    const path = join(folder, 'params.safetensors')
    const bytes = await readFile(path)
    bytes[bytes.length - 1] ^= 64
    await writeFile(path, bytes)
    const reader = await native.open(folder)
    await expect(reader.read('w')).rejects.toThrow(
      /params\.safetensors: tensor "w" is damaged: its checksum is [0-9a-f]{8}, and [0-9a-f]{8} was written/,
    )
    // Also where the damage is not in the part that is read, unless other processes have verified all tensors.
    const firstRow = async (): Promise<number[]> => toNumbers(await reader.readSlice!('w', [0, 0], [1, 3]))
    await expect(firstRow()).rejects.toThrow('tensor "w" is damaged')
    reader.trust!()
    expect(await firstRow()).toEqual([1, 2, 3])
    await reader.close()
  })

  it('are compared when the last part of a tensor was read, if its parts were read in order', async () => {
    const folder = await saveCheckpoint(run, content(7))
    const path = join(folder, 'params.safetensors')
    const readParts = async (order: readonly number[]): Promise<unknown> => {
      const reader = await native.open(folder)
      try {
        for (const part of order) await reader.readPart!('w', part)
        return 'right'
      } catch (error) {
        return (error as Error).message
      } finally {
        await reader.close()
      }
    }
    const parts = [0, 1]
    expect(await readParts(parts)).toBe('right')
    const bytes = await readFile(path)
    bytes[bytes.length - 1] ^= 64
    await writeFile(path, bytes)
    expect(await readParts(parts)).toMatch(/tensor "w" is damaged: its checksum is/)
    expect(await readParts([0, 0, 1])).toMatch(/tensor "w" is damaged/)
    expect(await readParts([1, 0])).toBe('right') // not in order, so they cannot be compared
  })

  it('are not asked of checkpoints of version 1, which have none', async () => {
    const folder = await saveCheckpoint(run, content(7))
    const path = join(folder, 'checkpoint.json')
    const { checksum: _, checksums: __, ...old } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    await writeFile(path, JSON.stringify(old))
    await expect(loadCheckpoint(folder)).rejects.toThrow('does not match its checksum')
    await writeFile(path, JSON.stringify({ ...old, version: 1 }))
    expect(JSON.parse(await everything(folder))).toHaveLength(2)
  })
})

describe('the checkpoints that are kept', () => {
  it('are the last ones, the best one, and every so many steps', async () => {
    const steps = async (): Promise<number[]> => (await listCheckpoints(run)).map(c => c.step)
    for (const step of [1, 2, 3, 4, 5, 6, 7, 8, 9])
      await saveCheckpoint(run, content(step, step < 3 ? step : 3), { keep: 2, keepEvery: 4 })
    expect(await steps()).toEqual([3, 4, 8, 9])
    await saveCheckpoint(run, content(10, 10), { keep: 1, keepEvery: null })
    expect(await steps()).toEqual([10])
  })
})
