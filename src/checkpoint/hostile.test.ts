import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FileError } from '../base/errors.js'
import { readTensors } from './format.js'
import { detectFormat } from '../../test/conformance/formats.js'

const folder = fileURLToPath(new URL('../../test/fixtures/hostile/', import.meta.url))

// Files that were made to harm; safetensors.test.ts has those of its format.
const expected: Record<string, [format: string, message: RegExp]> = {
  'evil-eval.bin': ['torch', /its pickle asks for "__builtin__\.eval".*Nothing of it was run/],
  'evil-reduce.bin': ['torch', /its pickle asks for "posix\.system".*Nothing of it was run/],
  'truncated.bin': ['torch', /its end is missing.*cut off/],
  'zip-bomb.bin': ['torch', /entry "archive\/data\.pkl" is compressed.*save it again/],
  'zip-slip.bin': [
    'torch',
    /entry "\.\.\/\.\.\/\.\.\/\.\.\/tmp\/switchyard-slip" has a name that leads out of the archive/,
  ],
  'index-missing-shard': ['huggingface', /1 of 1 shards are missing \("model-00001-of-00002\.safetensors"\)/],
  'index-traversal': [
    'huggingface',
    /tensor "shared\.weight" is said to be in "\.\.\/.*etc\/passwd", which is no name of a \.safetensors file in this folder/,
  ],
}

describe('hostile files', () => {
  it('are all expected', async () => {
    const names = (await readdir(folder)).filter(n => !n.endsWith('.safetensors'))
    expect(names.sort()).toEqual(Object.keys(expected).sort())
  })

  it.each(Object.entries(expected))(
    '%s: says what is wrong at once, in little memory, and writes and runs nothing',
    async (name, [format, message]) => {
      const scratch = await mkdtemp(join(tmpdir(), 'switchyard-hostile-'))
      try {
        const path = join(scratch, name)
        await cp(join(folder, name), path, { recursive: true })
        const before = await readdir(scratch, { recursive: true })
        const memory = process.memoryUsage().rss
        const started = performance.now()

        const found = await detectFormat(path)
        expect(found.name).toBe(format)
        const error: unknown = await found.open(path).then(
          async reader => {
            await readTensors(reader)
          },
          (e: unknown) => e,
        )
        expect(error).toBeInstanceOf(FileError)
        expect((error as FileError).message.startsWith(path)).toBe(true)
        expect((error as FileError).message).toMatch(message)

        expect(performance.now() - started).toBeLessThan(20_000) // a few ms; a reader that follows the file's sizes never ends
        expect(process.memoryUsage().rss - memory).toBeLessThan(50 * 2 ** 20)
        expect(await readdir(scratch, { recursive: true })).toEqual(before)
        for (const trace of ['/tmp/switchyard-slip', '/tmp/switchyard-pwned']) expect(existsSync(trace)).toBe(false)
      } finally {
        await rm(scratch, { recursive: true })
      }
    },
  )
})
