import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { latestCheckpoint } from '../../src/checkpoint/run-folder.js'
import { isOfMachine } from '../../src/train/metrics-log.js'
import { readRecords } from '../../src/train/read-metrics.js'
import { CalledCli } from './called-cli.js'
import { Cli, tiny } from './cli.js'
import { live, STEPS, writeScript } from './killed-runs.js'
import { xlaPlugin } from '../xla-plugin.js'

let cli: Cli
/** Runs commands in the folder of `cli`, without a new process. */
let called: CalledCli
beforeAll(async () => {
  cli = await Cli.create()
  called = await CalledCli.create(cli.folder)
})
afterAll(() => called?.remove())

/** Steps enough for a signal to come between the first and the last. */
const LONG = 40

const at = (...names: string[]): string => join(cli.folder, ...names)
const train = (folder: string, steps: number): string[] => [
  'train',
  'g2p',
  ...tiny,
  '--set',
  `train.steps=${steps}`,
  '--out',
  folder,
]

/** The files of a checkpoint, which must be the same bit for bit. */
async function contents(checkpoint: string): Promise<Record<string, string>> {
  const names = ['params.safetensors', 'optimizer.safetensors', 'checkpoint.json']
  return Object.fromEntries(
    await Promise.all(names.map(async name => [name, (await readFile(at(checkpoint, name))).toString('base64')])),
  )
}

interface MetricsRecord {
  step: number
  loss: number
}

function recordsOf(folder: string): MetricsRecord[] {
  return readFileSync(at(folder, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as MetricsRecord)
}

/** Ends a process with kill -9 as soon as the run has recorded a step. */
function killAt(folder: string, step: number): (stdout: string, child: ChildProcess) => void {
  let watching: NodeJS.Timeout | undefined
  return (_, child) => {
    watching ??= setInterval(() => {
      try {
        if (recordsOf(folder).at(-1)!.step >= step) child.kill('SIGKILL')
      } catch {
        /* there is no record yet, or an incomplete one */
      }
    }, 5)
    child.on('close', () => clearInterval(watching))
  }
}

describe('switchyard train', () => {
  it('trains, evaluates, saves and says what to do next', async () => {
    const { code, stdout, stderr } = await cli.run(...train('runs/first', 6))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('training in runs/first')
    expect(stdout).toMatch(/step 6\/6 {2}loss \d+\.\d+ {2}[\d,]+ words\/s {2}[\d,]+ tokens\/s {2}\d+\.\d% dropped/)
    expect(stdout).toMatch(
      /phoneme error rate \(PER\) [\d.]+%, word error rate \(WER\) [\d.]+%, on 12 of the [\d,]+ held-out words/,
    )
    expect(stdout).toContain('\n\nanswering 12 held-out words\n\nheld-out words:\n\n')
    expect(stdout.match(/ {2}(wrong: |right)/g)).toHaveLength(12)
    for (const next of [
      'infer runs/first switchyard transformer serendipity',
      'eval runs/first',
      'train g2p --set train.steps=20000',
    ]) {
      expect(stdout).toContain(`npx switchyard ${next}`)
    }
    expect((await readdir(at('runs/first'))).filter(name => !name.startsWith('events.out.tfevents.')).sort()).toEqual([
      'metrics.jsonl',
      'sources.json',
      'step-4',
      'step-6',
    ])
    expect(recordsOf('runs/first').map(r => r.step)).toEqual([1, 2, 3, 4, 5, 6])
    expect(recordsOf('runs/first').every(r => r.loss > 0)).toBe(true)
  })

  it('takes the next free folder', async () => {
    const { code, stdout } = await called.run(...train('runs/first', 3))
    expect(code).toBe(0)
    expect(stdout).toContain('runs/first exists already; training in runs/first-2')
    expect((await readdir(at('runs'))).sort()).toEqual(['first', 'first-2'])
  })

  it("learns from pairs of the user's own, without any configuration", async () => {
    const pairs = Array.from({ length: 400 }, (_, i) => `${i.toString(2)}\t${i.toString(16)}`)
    await writeFile(at('pairs.tsv'), `${pairs.join('\n')}\n`)
    const { code, stdout, stderr } = await called.run('train', '--data', 'pairs.tsv', ...tiny, '--set', 'train.steps=3')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('training in runs/pairs')
    expect(stdout).toMatch(/symbol error rate [\d.]+%, wrong answers [\d.]+%, on 12 of the \d+ held-out pairs/)
    expect(stdout).toContain('npx switchyard train --resume runs/pairs --set train.steps=12\n')
    expect((await called.run('train', '--resume', 'runs/pairs', '--set', 'train.steps=4')).code).toBe(0)
    expect((await called.run('eval', 'runs/pairs')).code).toBe(0)
  })

  it('skips evaluation if no example is held out', async () => {
    await writeFile(at('one.tsv'), 'a\tb\n'.repeat(3))
    const { code, stdout, stderr } = await called.run('train', '--data', 'one.tsv', ...tiny, '--set', 'train.steps=3')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('3 pairs to learn from, with only 1 different input;')
    expect(stdout).toContain('no example fell into the held-out split')
    expect(stdout).not.toContain('switchyard eval')
    expect(await called.run('eval', 'runs/one')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('so few examples that none fell into the test split') as string,
    })
    expect((await called.run('eval', 'runs/one', '--split', 'train')).stdout).toContain('on 3 training pairs')
  })

  it('saves on Ctrl-C and resumes exactly', async () => {
    const whole = await called.run(...train('runs/whole', LONG))
    expect(whole.code, whole.stderr).toBe(0)
    const stopped = await cli.start(train('runs/stopped', LONG), (stdout, child) => {
      if (stdout.includes(`/${LONG} `) && !child.killed) child.kill('SIGINT')
    })
    expect(stopped.code, stopped.stderr).toBe(130)
    expect(stopped.stdout).toContain('npx switchyard train --resume runs/stopped')
    const resumed = await called.run('train', '--resume', 'runs/stopped')
    expect(resumed).toMatchObject({ code: 0, stderr: '' })
    expect(resumed.stdout).toContain('resuming runs/stopped from step')
    expect(await contents(`runs/stopped/step-${LONG}`)).toEqual(await contents(`runs/whole/step-${LONG}`))
    expect(recordsOf('runs/stopped').map(r => [r.step, r.loss])).toEqual(
      recordsOf('runs/whole').map(r => [r.step, r.loss]),
    )
  })

  it('lets one process at a time train in a folder', async () => {
    const resume = async (): Promise<object[]> => [
      await called.run('train', '--resume', 'runs/held'),
      await called.run('train', '--resume'),
    ]
    let others: Promise<object[]> | undefined
    const first = await cli.start(train('runs/held', 100_000), (stdout, child) => {
      if (others !== undefined || !/step \d+\/100000/.test(stdout)) return
      others = resume()
      void others.finally(() => child.kill('SIGINT'))
    })
    const refused = {
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^switchyard: runs\/held: another process \(pid \d+, since .*\) is training here/,
      ) as string,
    }
    expect(await others).toEqual([refused, refused])
    expect(first.code, first.stderr).toBe(130)
    // Of two processes that resume at the same moment, one trains.
    const steps = ['--set', `train.steps=${recordsOf('runs/held').at(-1)!.step + 4}`]
    const both = await Promise.all([1, 2].map(() => cli.run('train', '--resume', 'runs/held', ...steps)))
    const going = both.filter(({ stdout }) => stdout.includes('resuming runs/held'))
    expect(going, JSON.stringify(both)).toMatchObject([{ code: 0 }])
    expect(
      (await readdir(at('runs/held'))).filter(
        name => !/^(metrics\.jsonl|sources\.json|events\.out\.tfevents\..*|step-\d+)$/.test(name),
      ),
    ).toEqual([])
  })

  it('begins again when it was killed before its first checkpoint', async () => {
    const late = ['--set', 'train.checkpointEvery=6']
    const killed = await cli.start([...train('runs/early', 6), ...late], killAt('runs/early', 2))
    expect(killed.signal, killed.stderr).toBe('SIGKILL')
    expect(await called.run('eval', 'runs/early')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'was stopped before its first checkpoint; train --resume runs/early begins it again',
      ) as string,
    })
    const again = await called.run('train', '--resume')
    expect(again, again.stderr).toMatchObject({ code: 0 })
    expect(again.stdout).toContain('runs/early was stopped before its first checkpoint: beginning again from step 0')
    const files = (await readdir(at('runs/early'))).filter(name => !name.startsWith('events.out.tfevents.'))
    expect(files.sort()).toEqual(['metrics.jsonl', 'sources.json', 'step-6'])
    expect(recordsOf('runs/early').map(r => [r.step, r.loss])).toEqual(
      recordsOf('runs/first').map(r => [r.step, r.loss]),
    )
    expect(await readFile(at('runs/early/step-6/params.safetensors'))).toEqual(
      await readFile(at('runs/first/step-6/params.safetensors')),
    )
  })

  it('resumes exactly after kill -9 at a random step', async () => {
    // The first checkpoint is saved at step 2.
    const step = 3 + Math.floor(Math.random() * 25)
    const killed = await cli.start(train('runs/killed', LONG), killAt('runs/killed', step))
    expect(killed.signal, killed.stderr).toBe('SIGKILL')
    const resumed = await called.run('train', '--resume', 'runs/killed')
    expect(resumed.code, resumed.stderr).toBe(0)
    expect(await contents(`runs/killed/step-${LONG}`), `killed at step ${step}`).toEqual(
      await contents(`runs/whole/step-${LONG}`),
    )
    expect(recordsOf('runs/killed').map(r => [r.step, r.loss])).toEqual(
      recordsOf('runs/whole').map(r => [r.step, r.loss]),
    )
  })
})

describe('switchyard train --resume of a finished run', () => {
  it('says that there is nothing to do, and how to train longer', async () => {
    const before = await readdir(at('runs/first'))
    expect(await called.run('train', '--resume', 'runs/first')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('already finished at step 6; --set train.steps=12 continues') as string,
    })
    expect(await called.run('train', '--resume', 'runs/first', '--set', 'train.steps=5')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('is already at step 6') as string,
    })
    expect(await readdir(at('runs/first'))).toEqual(before)
  })

  it.skipIf(!xlaPlugin)('says how to train longer with the same backend', async () => {
    const { stdout } = await cli.run('train', '--resume', 'runs/first', '--backend', 'xla')
    expect(stdout).toContain('train --resume runs/first --set train.steps=12 --backend xla\n')
  })
})

describe('switchyard infer and eval', () => {
  it('use a trained model', async () => {
    const infer = await called.run('infer', 'runs/first', 'switch', 'Yard')
    expect(infer).toMatchObject({ code: 0, stderr: '' })
    expect(infer.stdout).toMatch(/^switch\t.*\nYard\t.*\n$/)
    expect(await called.run('verify', 'runs/first')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('have no reference values') as string,
    })
    // A caller that writes a line and waits gets the answer before the input ends.
    const lines = await cli.start(
      ['infer', 'runs/first'],
      (stdout, child) => {
        if (/^switch\t.*\n$/.test(stdout)) child.stdin!.end('\nYard\n')
      },
      null,
      'switch\n',
    )
    expect(lines.stdout).toBe(infer.stdout.replace('\n', '\n\n'))
    const json = await called.run(
      'infer',
      'runs/first',
      'switch',
      '--json',
      '--num-beams',
      '3',
      '--num-returned',
      '2',
      '--max-new-tokens',
      '4',
    )
    const { input, answers } = JSON.parse(json.stdout) as {
      input: string
      answers: { text: string; tokens: number[]; score: number }[]
    }
    expect([input, answers.length]).toEqual(['switch', 2])
    expect(answers[0].score).toBeGreaterThanOrEqual(answers[1].score)
    expect(answers[0].tokens.length).toBeLessThanOrEqual(4)
    expect(await called.run('infer', 'frist', 'switch')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('switchyard: frist: there is no such folder; did you mean runs/first?') as string,
    })
    expect(await called.run('infer', 'runs/first', 'switch', '--temperature', '0')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'switchyard: temperature must be greater than 0, not 0\n',
    })
    // An untrained model's answer, which repeats the same tokens.
    const tokensOf = async (...args: string[]): Promise<number[]> =>
      (
        JSON.parse((await called.run('infer', 'runs/first', 'switch', '--json', ...args)).stdout) as {
          answers: { tokens: number[] }[]
        }
      ).answers[0].tokens
    const [repeating, varied] = [await tokensOf(), await tokensOf('--no-repeat-ngram', '1')]
    expect(new Set(repeating).size).toBeLessThan(repeating.length)
    expect(new Set(varied).size).toBe(varied.length)
    const scored = await called.run('infer', 'runs/first', 'switch', 'Yard', '--target', 'S W IH CH')
    expect(scored.stdout).toMatch(/^switch\tS W IH CH\t-\d+\.\d{4}\nYard\tS W IH CH\t-\d+\.\d{4}\n$/)
    const details = JSON.parse(
      (await called.run('infer', 'runs/first', 'switch', '--target', 'S W IH CH', '--json')).stdout,
    ) as { score: number; logProbabilities: number[] }
    expect(details.logProbabilities).toHaveLength(5)
    expect(scored.stdout).toContain(`\t${details.score.toFixed(4)}\n`)
    expect(await called.run('infer', 'runs/first', 'switch', '--target', 'S', '--num-beams', '2')).toMatchObject({
      code: 2,
      stderr: 'switchyard: --target scores a given answer, so --num-beams would have no effect: omit it\n',
    })
    expect((await called.run('convert', 'runs/first', 'smaller', '--to', 'native', '--dtype', 'int8')).code).toBe(0)
    expect(await called.run('convert', 'runs/first', 'exported')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /has no tokenizer .*: convert it with --to native, or train a model with --tokenizer t5/,
      ) as string,
    })
    expect(await readdir(called.folder)).not.toContain('exported')
    expect((await called.run('infer', 'smaller', 'switch', 'Yard')).stdout).toMatch(/^switch\t.*\nYard\t.*\n$/)
    expect((await called.run('convert', 'smaller', 'again', '--to', 'native', '--dtype', 'int4')).stderr).toContain(
      'are quantized to 8 bits already',
    )
    expect(await called.run('eval', 'smaller', '--examples', '5')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('on 5 of the 6,226 held-out words') as string,
    })
    expect((await called.run('infer', 'runs/first', 'switch', '--target', 'zzz')).stderr).toContain(
      'warning: zzz: the model has never seen "zzz"',
    )
    expect(
      await called.run('infer', 'runs/first', 'switch', '--min-new-tokens', '9', '--max-new-tokens', '5'),
    ).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        '--min-new-tokens is 9, more than the most tokens of an answer (--max-new-tokens, 5)',
      ) as string,
    })
    expect((await called.run('infer', 'runs/first', '--stop', 'IH', 'switch')).stdout).toMatch(/^switch\t/)
    const choices = ['--choice', 'S W IH CH', '--choice', 'Y AA R D']
    expect((await called.run('infer', 'runs/first', 'switch', ...choices)).stdout).toMatch(
      /^switch\t(S W IH CH|Y AA R D)\n$/,
    )
    // As in `| head`: the reader closes the pipe.
    const left = await cli.start(
      ['infer', 'runs/first'],
      (stdout, child) => {
        if (stdout !== '') child.stdout!.destroy()
      },
      'switch\n'.repeat(5000),
    )
    expect(left).toMatchObject({ code: 0, stderr: '' })
    const sampled = ['infer', 'runs/first', 'switch', '--temperature', '2', '--seed', '5']
    expect((await called.run(...sampled)).stdout).toBe((await called.run(...sampled)).stdout)
    const odd = await called.run('infer', 'runs/first', 'caf\u00e9\t1')
    expect(odd.stderr).toBe('warning: caf\u00e9\\t1: the model has never seen "\u00e9", "\\t", "1"\n')
    expect(odd.stdout).toMatch(/^caf\u00e9\\t1\t[^\t]*\n$/)
    const empty = await cli.run('infer', 'runs/first')
    expect(empty).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('nothing came on the standard input') as string,
    })
    const evaluated = await called.run('eval', 'runs/first/step-6', '--split', 'validation', '--examples', '5')
    const byBeams = await called.run(
      'eval',
      'runs/first/step-6',
      '--split',
      'validation',
      '--examples',
      '1',
      '--num-beams',
      '3',
    )
    const [, word, predicted] = /^ {4}(\S+) +(.*?) {2,}(?:right|wrong)/m.exec(byBeams.stdout)!
    expect((await called.run('infer', 'runs/first/step-6', word, '--num-beams', '3')).stdout.slice(0, 40)).toBe(
      `${word}\t${predicted}\n`.slice(0, 40),
    )
    expect(evaluated).toMatchObject({ code: 0, stderr: '' })
    expect(evaluated.stdout).toMatch(/on 5 of the [\d,]+ held-out words/)
  })
})

describe('switchyard resume', () => {
  it('is train --resume, and proves with --prove that resuming is exact, without changing the run', async () => {
    const finished = await called.run('resume', 'runs/first')
    expect(finished.stdout).toContain('already finished at step 6; --set train.steps=12 continues')
    const before = await contents('runs/first/step-6')
    const names = await readdir(at('runs/first'))
    const proved = await called.run('resume', 'runs/first', '--prove')
    expect(proved, proved.stderr).toMatchObject({ code: 0 })
    expect(proved.stdout).toMatch(/training runs\/first again from step 4 to step 6, in a scratch folder/)
    expect(proved.stdout).toMatch(/compared with the run's step 6: \d+ tensors .* 2 records of metrics\.jsonl/)
    expect(proved.stdout).toContain('equal bit for bit')
    expect(await contents('runs/first/step-6')).toEqual(before)
    expect(await readdir(at('runs/first'))).toEqual(names)

    const log = at('runs/first/metrics.jsonl')
    const text = await readFile(log, 'utf8')
    await writeFile(log, text.replace(/("step":6,.*"loss":)/, '$11'))
    const refuted = await called.run('resume', 'runs/first', '--prove')
    await writeFile(log, text)
    expect(refuted.code).toBe(1)
    expect(refuted.stdout).toMatch(/not equal: 1 difference\n {2}loss of step 6 is/)
  })
})

/** All files of a run, without TensorBoard's, of which each process writes one. */
const files = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile() && !entry.name.startsWith('events.out.tfevents.'))
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()

describe('kill -9', () => {
  const [KILLS, MOST] = [5, 30]

  it(`${KILLS} times, in saves too: nothing is lost, and the end is that of an uninterrupted run bit for bit`, async () => {
    const [whole, killed] = [at('whole'), at('killed')]
    const script = await writeScript(cli)
    expect((await live(script, whole, false)).code).toBe(0)

    let inSaves = 0
    for (let kill = 0; kill < (inSaves > 0 ? KILLS : MOST); kill++) {
      const { step, code } = await live(script, killed, true)
      if (code === 0) break
      if (readdirSync(killed).some(name => name.startsWith('.switchyard-'))) inSaves++
      const latest = Number(/step-(\d+)/.exec((await latestCheckpoint(killed)) ?? 'step-0')![1])
      // When a step is reported, the save of the one before has begun, so the one before that is complete.
      expect(latest).toBeGreaterThanOrEqual(step - 2)
    }
    expect(inSaves).toBeGreaterThan(0)
    expect((await live(script, killed, false)).code).toBe(0)

    expect(await files(killed)).toEqual(await files(whole))
    expect((await files(whole)).filter(name => name.endsWith('params.safetensors'))).toHaveLength(6)
    for (const name of (await files(whole)).filter(name => name !== 'metrics.jsonl'))
      expect(await readFile(join(killed, name)), name).toEqual(await readFile(join(whole, name)))
    const records = async (folder: string): Promise<object[]> =>
      (await readRecords(folder)).map(record =>
        Object.fromEntries(Object.entries(record).filter(([name]) => !isOfMachine(name))),
      )
    expect(await records(whole)).toHaveLength(STEPS)
    expect(await records(killed)).toEqual(await records(whole))
  })
})
