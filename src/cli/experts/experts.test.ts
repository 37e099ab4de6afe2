import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { main } from '../main.js'

let folder: string
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-experts-'))
  await writeFile(at('words.txt'), 'hello\nworld\nswitch\n')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [log, error] = [vi.spyOn(console, 'log').mockReturnValue(), vi.spyOn(console, 'error').mockReturnValue()]
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  try {
    const code = await main(['experts', ...args])
    return { code, stdout: log.mock.calls.join('\n'), stderr: [...error.mock.calls, ...write.mock.calls].join('\n') }
  } finally {
    for (const spy of [log, error, write]) spy.mockRestore()
  }
}

it('a trace of a shipped model is simulated, pinned and drawn', async () => {
  expect(await run('trace', 'g2p', '--data', at('words.txt'), '--rows', '2', '--out', at('t.jsonl'))).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('the experts that the tokens of 3 inputs met'),
  })
  const [header, ...passes] = (await readFile(at('t.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(header.stacks.map((stack: { path: string }) => stack.path)).toEqual([
    'encoder/layers_1/mlp/expert',
    'decoder/layers_1/mlp/expert',
  ])
  const encoded = passes.filter(({ stack }) => stack === 'encoder')
  expect(encoded.flatMap(({ tokens }) => tokens)).toHaveLength('hello'.length + 'world'.length + 'switch'.length + 3)
  expect(Math.max(...passes.map(({ stack, tokens }) => (stack === 'decoder' ? tokens.length : 0)))).toBe(2)

  const paging = ['--experts-memory', '300kB', '--rows', '2', '--out', at('traces/paged.jsonl')]
  expect(await run('trace', 'g2p', '--data', at('words.txt'), ...paging)).toMatchObject({ code: 0 })
  expect(await readFile(at('traces/paged.jsonl'), 'utf8')).toBe(await readFile(at('t.jsonl'), 'utf8'))

  const simulated = await run('simulate', at('t.jsonl'), '--memory', '300kB, 5MB')
  expect(simulated.code).toBe(0)
  for (const line of [
    /2 sparse layers, 32 experts of 146\.25 KiB/,
    /pages in memory +2 +32/,
    /lfu \(the default\) +\d/,
  ])
    expect(simulated.stdout).toMatch(line)
  const rates = ['lru', "Belady's optimum", 'cold floor: each page once'].map(name =>
    new RegExp(`^${name} +([\\d.]+)% +([\\d.]+)%$`, 'm').exec(simulated.stdout)!.slice(1).map(Number),
  )
  expect(rates[0][0]).toBeLessThanOrEqual(rates[1][0])
  // All experts fit into 5 MB: every policy reads each page once.
  expect(new Set(rates.map(([, all]) => all)).size).toBe(1)

  expect(await run('pin', at('t.jsonl'), '--memory', '1MB', '--out', at('new/pins.json'))).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('3 experts, 438.75 KiB of the 6 that fit into 1MB'),
  })
  const pinned = await run('simulate', at('t.jsonl'), '--memory', '1MB', '--pins', at('new/pins.json'))
  expect(pinned.stdout).toContain('pages in memory')
  expect(await run('simulate', at('t.jsonl'), '--memory', '300kB', '--pins', at('new/pins.json'))).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('3 pinned experts take 438.75 KiB'),
  })

  expect(await run('heat', at('t.jsonl'), '--out', at('pictures/new/heat.svg'))).toMatchObject({ code: 0 })
  expect(await readFile(at('pictures/new/heat.svg'), 'utf8')).toContain('encoder/layers_1')
})

it.each([
  [['trace', 'g2p'], 2, 'name it with --data'],
  [['trace', 'g2p', '--data', 'words.txt', '--out', 'words.txt'], 2, 'would not recognize'],
  [
    ['trace', 'g2p', '--data', 'words.jsonl', '--out', 'words.jsonl'],
    2,
    'this is the data, which would be overwritten',
  ],
  [['simulate', 'none.jsonl', '--memory', '1GB'], 1, 'there is no such file'],
  [['simulate', 'words.txt', '--memory', '1GB'], 1, 'words.txt: this is no trace of experts'],
  [['simulate', 'words.txt'], 2, "required option '--memory <sizes>' not specified"],
  [['simulate', 'words.txt', '--memory', '4'], 2, 'expected a size with its unit, such as 4GB'],
  [['simulate', 'words.txt', '--memory', '0GB'], 2, 'expected a size'],
  [['simulate', 't.jsonl', '--memory', '100kB'], 2, '--memory 100kB: one expert of this model takes 146.25 KiB'],
  [['simulate', 't.jsonl', '--memory', '1MB', '--pins', 'words.txt'], 2, 'words.txt: '],
  [['simulate', 't.jsonl', '--memory', '1MB', '--pins', 'words.jsonl'], 2, 'this is no list of pinned experts'],
  [['heat', 't.jsonl', '--out', 'heat.png'], 2, '--out heat.svg'],
])('wrong usage is told: %j', async (args, code, message) => {
  await writeFile(at('words.jsonl'), '{"text":"hello"}\n')
  const full = args.map(arg => (/\.\w+$/.test(arg) ? at(arg) : arg))
  const ended = await run(...full)
  expect(ended.code).toBe(code)
  expect(ended.stderr).toContain(message.replace('--out heat', `--out ${at('heat')}`))
})
