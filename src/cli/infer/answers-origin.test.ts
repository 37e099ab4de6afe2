import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { answersOrigin, checkAnswersOrigin, writeAnswersOrigin } from './answers-origin.js'

it('answers in a file whose name the model begins with are not continued by other weights', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-origin-'))
  const [out, model] = [join(folder, 'model'), join(folder, 'model-v2')]
  try {
    await mkdir(model)
    await writeFile(join(model, 'weights'), 'a')
    await writeAnswersOrigin(out, await answersOrigin(out, model, {}))
    await checkAnswersOrigin(out, await answersOrigin(out, model, {}))
    await writeFile(join(model, 'weights'), 'b')
    await expect(checkAnswersOrigin(out, await answersOrigin(out, model, {}))).rejects.toThrow('the weights (')
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('answers in the folder of the model are continued', async () => {
  const model = await mkdtemp(join(tmpdir(), 'switchyard-origin-'))
  const out = join(model, 'answers.jsonl')
  try {
    await writeFile(join(model, 'weights'), 'a')
    await writeAnswersOrigin(out, await answersOrigin(out, model, {}))
    await writeFile(out, 'an answer')
    await checkAnswersOrigin(out, await answersOrigin(out, model, {}))
  } finally {
    await rm(model, { recursive: true })
  }
})
