import { describe, expect, it } from 'vitest'
import { FakeModel } from '../../../test/fake-served-model.js'
import { inputsOf, preparePrompt } from './prompts.js'

const model = new FakeModel()
const ids = model.idsOf
const EOS = 1

describe('prompts', () => {
  it('are one or several, of texts or of token ids', () => {
    expect(inputsOf('a')).toEqual(['a'])
    expect(inputsOf(['a', 'b'])).toEqual(['a', 'b'])
    expect(inputsOf([1, 2])).toEqual([[1, 2]])
    expect(inputsOf([[1], [2]])).toEqual([[1], [2]])
  })

  it('enter the encoder as they are without a separator, or one that they do not have', async () => {
    expect(await preparePrompt(model, 'a b', undefined)).toEqual({ text: 'a b', input: 'a b', beginning: [], added: 1 })
    expect(await preparePrompt(model, 'a b', 'A:')).toMatchObject({ input: 'a b', beginning: [] })
    const given = ids('a b')
    expect(await preparePrompt(model, given, 'A:')).toEqual({ input: given, beginning: [], added: 0 })
  })

  it('do not wait for the model if they are not echoed and there is no separator', async () => {
    const busy = new FakeModel()
    busy.tokenize = () => Promise.reject(new Error('it computes a step'))
    const prepared = await preparePrompt(busy, 'a b', undefined, false)
    expect(prepared).toEqual({ text: 'a b', input: 'a b', beginning: [], added: 0 })
  })
})

describe('the answer separator', () => {
  it('cuts a text behind its last occurrence: the rest begins the answer, without EOS', async () => {
    const cut = await preparePrompt(model, 'Q: A: b A: yes it', 'A:')
    expect(cut).toEqual({ text: 'Q: A: b A: yes it', input: 'Q: A: b A:', beginning: ids(' yes it'), added: 1 })
  })

  it('at the end of a prompt leaves the beginning to the model', async () => {
    for (const prompt of ['Q: A:', 'Q: A: \n'])
      expect(await preparePrompt(model, prompt, 'A:')).toMatchObject({ input: 'Q: A:', beginning: [] })
  })

  it('cuts token ids at the same place, puts EOS behind the first part, and leaves the rest as it is', async () => {
    const prompt = ids('Q: A: b A: yes it')
    expect(await preparePrompt(model, prompt, 'A:')).toEqual({
      input: [...prompt.slice(0, 4), EOS],
      beginning: prompt.slice(4),
      added: 1,
    })
    expect(await preparePrompt(model, ids('A: b'), 'A:')).toMatchObject({ input: [...ids('A:'), EOS] })
  })

  it('is refused if one token has its end and the beginning of the answer', async () => {
    await expect(preparePrompt(model, ids('Q: A:yes'), 'A:')).rejects.toThrow(
      'a token of the prompt has both the end of the answer separator "A:" and the beginning of the answer',
    )
  })
})
