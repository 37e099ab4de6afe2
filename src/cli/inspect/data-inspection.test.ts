import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { UserValues } from '../../config/user-values.js'
import { defineTask } from '../../data/define-task.js'
import { defineMixture } from '../../data/mixture.js'
import { functionSource } from '../../data/sources/iterable-source.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { inspectData } from './data-inspection.js'

const part = (name: string, count: number) =>
  defineTask({
    name,
    source: functionSource(name, () =>
      Array.from({ length: count }, (_, i) => ({ inputs: `${name} ${i}`, targets: 'x' })),
    ),
    features: () => ({ inputs: { vocabulary }, targets: { vocabulary } }),
  })
const vocabulary = new ByteVocabulary()
const mixed = defineMixture({
  name: 'mixed',
  tasks: [
    { task: part('small', 40), rate: 1 },
    { task: defineMixture({ name: 'inner', tasks: [part('large', 400)] }), rate: 3 },
  ],
})
vi.mock('../shared/user-config.js', () => ({
  findUserValues: () => Promise.resolve(new UserValues({ tasks: [mixed] })),
}))

const folder = mkdtempSync(join(tmpdir(), 'switchyard-inspect-'))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => vi.restoreAllMocks())

async function printed(...args: Parameters<typeof inspectData>): Promise<string> {
  const log = vi.spyOn(console, 'log').mockReturnValue()
  await inspectData(...args)
  return log.mock.calls.map(([line]) => String(line)).join('\n')
}

describe('data inspect', () => {
  it('shows stages, tokens, lengths, packing and what is unknown, and draws the lengths', async () => {
    const data = join(folder, 'signs.csv')
    const rows = Array.from({ length: 300 }, (_, i) => `sign ${i} is here,${i % 2 ? 'yes' : 'no'}`)
    writeFileSync(data, ['text,label', ...rows, 'sign 蛇 was here,no'].join('\n'))
    const plot = join(folder, 'lengths.svg')
    const text = await printed(undefined, { data, set: ['train.inputLength=32'], plot })
    expect(text).toContain(
      'signs.csv: comma-separated, with a header line (text, label); input: "text", target: "label"',
    )
    expect(text).toMatch(
      /tokens: inputs by T5's pieces \([\d,]+ in use\), targets by words \(2\); --tokenizer changes it/,
    )
    expect(text).toContain('examples:\n    input: "sign 0 is here", target: "no"\n')
    expect(text).toMatch(/inputs: sign\|.*\|here\|<\/s>\n/)
    expect(text).toMatch(/inputs +\d+ +\d+ +\d+ +\d+ +\d+ +\d+ +[\d.]+\ntargets +2 +2 +2 +2 +2 +2 +2\.0\n/)
    expect(text).toMatch(
      /rows of 32 \+ \d+ tokens: [\d.]+ examples a row, [\d.]+% of the input and [\d.]+% of the target tokens/,
    )
    expect(text).toMatch(/(train|validation|test) inputs +1 +\d+ +[\d.]+% +蛇\n/)
    expect(readFileSync(plot, 'utf8')).toMatch(/^<svg .*signs: inputs.*a row: 32.*signs: targets.*<\/svg>\n$/s)
  })

  it('shows a token that is a part of a character as its bytes', async () => {
    const data = join(folder, 'cafes.tsv')
    writeFileSync(data, Array.from({ length: 60 }, (_, i) => `é\u0085${i}\tyes\n`).join(''))
    expect(await printed(undefined, { data, tokenizer: { inputs: 'bytes', targets: 'bytes' }, set: [] })).toContain(
      '    inputs: <0xC3>|<0xA9>|<0xC2>|<0x85>|0|</s>\n            198 172 197 136 51 1\n',
    )
  })

  it('says why there are fewer held-out examples than rows', async () => {
    const [data, test] = ['many.tsv', 'repeats.tsv'].map(name => join(folder, name))
    writeFileSync(data, Array.from({ length: 60 }, (_, i) => `word ${i}\t${i % 2 ? 'yes' : 'no'}\n`).join(''))
    writeFileSync(test, 'a\tyes\nb\tno\na\tno\na\tyes\n')
    expect(await printed(undefined, { data, test, set: [] })).toMatch(
      /\nmany: \d+ train, \d+ validation, 2 test\nmany: 4 test rows have 2 different inputs: each input is asked once, and all its targets are right answers\n/,
    )
    // As for a task of preprocessors.
    const twice = defineTask({
      name: 'twice',
      source: functionSource('twice', () =>
        Array.from({ length: 200 }, (_, i) => ({ inputs: `w ${i >> 1}`, targets: `${i}` })),
      ),
      features: { inputs: { vocabulary }, targets: { vocabulary } },
    })
    const task = await twice.load()
    expect(task.countBeforeMerge!('test')).toBe(2 * task.split('test').length)
  })

  it('shows a built-in task with the rows of its recipe', async () => {
    expect(await printed('g2p', { set: [] })).toMatch(/16 rows of 64 \+ 64 tokens: 7\.\d examples a row/)
  })

  it('shows each part of a mixture with its rate and its examples', async () => {
    const text = await printed('mixed', { set: [] })
    expect(text).toContain('mixed: a mixture of 2 tasks')
    expect(text).toMatch(/part +rate +share of draws +train +validation +test\n/)
    expect(text).toMatch(/\nsmall +1 +25\.0% +3\d +\d+ +\d+\n/)
    expect(text).toMatch(/\nlarge +3 +75\.0% +3\d\d +\d+ +\d+\n/)
    expect(text).toMatch(/\nlarge\nsource:\n {4}inputs: "large \d+", targets: "x"\n/)
    expect(text).toMatch(/\nsmall: unknown to the vocabulary +texts/)
    expect(text).toMatch(
      /the source small: of 40 examples, \d+ \([\d.]+%\) for the test and \d+ \([\d.]+%\) for validation are kept/,
    )
  })

  it('needs a task or a file', async () => {
    await expect(inspectData(undefined, { set: [] })).rejects.toThrow('give a task, such as g2p, or --data')
  })
})
