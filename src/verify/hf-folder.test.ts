import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { HostTensor } from '../base/host-tensor.js'
import { readCheckpoint, sourceOf } from '../checkpoint/format.js'
import { safetensors } from '../checkpoint/safetensors.js'
import type { Row } from './compare.js'
import { verifyFolder } from './hf-folder.js'

const recorded = fileURLToPath(new URL('../../test/fixtures/cases/10-umt5', import.meta.url))

describe('a Hugging Face folder', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-verify-'))
    for (const name of ['config.json', 'model.safetensors']) await copyFile(join(recorded, name), join(folder, name))
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** Verifies the folder with the recorded cases after a change. */
  const verifyWith = async (change: (cases: Map<string, HostTensor>) => void): Promise<unknown> => {
    const cases = new Map(await readCheckpoint(safetensors, join(recorded, 'cases.safetensors')))
    change(cases)
    await rm(join(folder, 'cases.safetensors'), { force: true })
    await safetensors.write(join(folder, 'cases.safetensors'), sourceOf(cases))
    return verifyFolder(folder)
  }

  it('without recorded values is an error', async () => {
    await expect(verifyFolder(folder)).rejects.toThrow(`${folder}: there is no cases.safetensors`)
    const removed = verifyWith(cases => ['logits', 'encoder_last_hidden_state'].forEach(name => cases.delete(name)))
    await expect(removed).rejects.toThrow('there are inputs, and no recorded values to compare with')
  })

  it('is computed with the recorded mask, whatever the padding id is', async () => {
    const rows = (await verifyWith(() => undefined)) as Row[]
    expect(rows.map(row => row.ok)).toEqual([true, true])
    const hidden = await verifyWith(cases => (cases.get('attention_mask')!.data as BigInt64Array).fill(0n, 1, 2))
    const shown = await verifyWith(cases => (cases.get('attention_mask')!.data as BigInt64Array).fill(1n))
    for (const other of [hidden, shown]) expect((other as Row[]).map(row => row.ok)).toEqual([false, false])
  })
})
