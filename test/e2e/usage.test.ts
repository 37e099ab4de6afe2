import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { brokenLibrary } from '../broken-library.js'
import { CalledCli } from './called-cli.js'
import { xlaPlugin } from '../xla-plugin.js'
import { Cli, tiny } from './cli.js'

const broken = brokenLibrary()

let cli: CalledCli
let started: Cli
beforeAll(async () => {
  cli = await CalledCli.create()
  started = await Cli.create()
})
afterAll(() => Promise.all([cli?.remove(), started?.remove()]))

it.each([
  [['--version'], { code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: '' }],
  [['verify', 'nosuch'], { code: 1, stdout: '', stderr: expect.stringContaining('there is no such folder') }],
  [['train', 'g2p', '--set', 'train.stepz=3'], { code: 2, stdout: '', stderr: expect.stringContaining('train.stepz') }],
])('a started process ends with the exit code: %j', async (args, ended) => {
  expect(await started.run(...args)).toMatchObject(ended)
})

describe('wrong usage ends with code 2, one message and no trace', () => {
  it.each([
    [['train', 'g2p', '--set', 'train.stepz=3'], 'there is no setting train.stepz; did you mean train.steps?'],
    [['train', 'g2p', '--set', 'train.steps=many'], 'train.steps: must be a number, got "many"'],
    [['train', 'g2'], 'did you mean g2p?'],
    [['train', 'nosuch'], 'there are g2p, g2p-full, brown'],
    [['train'], 'give a recipe or a task (g2p, g2p-full, brown'],
    [['train', 'g2p', '--data', 'x.tsv'], 'or --data with a file of your own, not both'],
    [
      ['train', 'g2p', '--set', 'model.vocabSize=10'],
      'model.vocabSize is 10, and the task g2p has 69 tokens: raise it',
    ],
    [['train', 'g2p', '--resume', 'runs/g2p'], 'the folder from the run itself: leave them out'],
    [['train', '--resume'], 'there is no run with a checkpoint under runs/'],
    [['config', 'explain', 'g3p'], 'did you mean g2p?'],
    [['infer', 'g2p', 'word', '--backend', 'cuda'], 'Allowed choices are onnx, xla'],
    [['plan', 'switch-c-204'], 'did you mean switch-c-2048?'],
    [
      ['plan', 'g2p', '--device', 'a101'],
      'there is no kind of device "a101": choose one of tpu-v3, tpu-v4, a100-40, a100-80, h100, h200, cpu',
    ],
    [['plan', 'google/switch-base-8'], 'plan fetches nothing from the hub: give a preset'],
    [['plan', 'google/switch-base-8'], 'did you mean switch-base-8?'],
    [['plan', 'nothing'], '"nothing"; there are g2p, g2p-full, brown, pos, spam. The presets are'],
    [['plan', 'g2p', '--mesh', 'date=2'], 'expected the sizes of the axes data, expert and tensor, such as data=2'],
    [['plan', 'g2p', '--mesh', 'data=4', '--devices', '2'], '--mesh data=4 has 4 devices, and --devices is 2: leave'],
    [['plan', 'g2p', '--interconnect', '3'], 'expected bytes per second with their unit, such as 100GB/s'],
    [['finetune', 'g2p'], 'give --data with a file of your own, or --task with a task'],
    [['finetune', 'g2p', '--data', 'pairs.tsv', '--set', 'train.lora.rnk=2'], 'did you mean train.lora.rank?'],
    [['finetune', 'g2p', '--task', 'poss'], 'did you mean pos?'],
    [['infer', 'g2p', 'word', '--quantize', 'int4'], 'have 8 bits already and cannot be quantized to 4'],
    [['infer', 'g2p', 'word', '--revision', 'main'], '--revision is for models of the Hugging Face hub'],
    [['infer', 'g2p', 'word', '--num-returned', '2'], 'needs beam search'],
    [['infer', 'g2p', 'word', '--num-beams', 'x'], 'expected a whole number of 1 or more'],
    [['infer', 'g2p', '--out', 'answers.jsonl'], '--out is for a file of inputs'],
    [['eval', 'g2p', '--metric', 'blue', '--examples', '1'], 'did you mean bleu?'],
    [['eval', 'g2p', '--json', 'scores.txt'], '--json scores.jsonl'],
    [['eval', 'g2p', '--all', '--errors'], 'leave --all and --watch out'],
    [['convert', 'g2p', 'x', '--to', 'hf', '--dtype', 'int8'], 'the format safetensors cannot hold int8'],
    [['convert', 'g2p', 'x', '--to', 'native', '--dtype', 'int4'], 'are quantized to 8 bits already'],
    [['convert', 'g2p', 'x', '--to', 'peft'], 'there are no adapters here'],
    ...['hf', 't5x'].map((to): [string[], string] => [
      ['convert', 'g2p', 'x', '--to', to, '--dtype', 'float32'],
      "has no tokenizer that does what this run's vocabulary does: convert it with --to native, or train a model with --tokenizer t5",
    ]),
    [['convert', 'g2p', 'x', '--to', 'onnx'], 'Allowed choices are safetensors, hf, t5x, native, peft'],
    [['upcycle', 'g2p', 'x', '--experts', '4'], 'the model has experts already'],
    [['prune', 'g2p', 'x', '--experts', '2'], 'give --data'],
    [['init', 'switch-bass-8', 'x'], 'did you mean switch-base-8?'],
    [['data', 'inspect'], 'give a task, such as g2p, or --data'],
    [['data', 'inspect', 'pairs.tsv', '--data', 'pairs.tsv'], 'not both'],
    [['train', '--data', 'pairs.tsv', '--input', 'none'], 'has no column "none"'],
    [['train', '--data', 'pairs.tsv', '--tokenizer', 'wrods'], 'expected t5, bytes, characters, words'],
    [['plot', 'runs/g2p', '--out', 'curves.png'], '--out curves.svg'],
    [['resume', '--prove', '--set', 'train.steps=4'], 'leave the other options out'],
    [
      ['train', 'g2p', '--set', 'train.steps=50', '--set', 'train.schedule.warmupSteps=100'],
      'needs more than the 50 steps of this run: set train.schedule.warmupSteps=5',
    ],
    [['plot', 'runs/none'], "required option '--out <file>' not specified"],
    [['eval', 'runs/g2p', '--examples', '0'], 'expected a whole number of 1 or more'],
    [['eval', 'runs/g2p', '--split', 'tset'], 'Allowed choices are train, validation, test, all'],
    [
      ['infer', 'runs/g2p', 'x', '--target', 'y', '--num-beams', '2', '--ban', 'z'],
      '--target scores a given answer, so --num-beams, --ban would have no effect: omit it',
    ],
    [
      ['infer', 'runs/g2p', 'x', '--greedy', '--num-beams', '2', '--top-k', '3'],
      '--greedy takes the most probable tokens, so --num-beams, --top-k would have no effect: omit it',
    ],
    [['infer', 'g2p', 'x', '--regex', 'a', '--regex', 'b'], '--regex is given twice, and has one value'],
    [['eval', 'g2p', '--split', 'test', '--split', 'all'], '--split is given twice, and has one value'],
    [
      ['infer', 'g2p', 'x', '--regex', 'a', '--choice', 'b', '--choice', 'c'],
      '--choice and --regex cannot be combined: each says what the whole answer is',
    ],
    [['convert', 'g2p'], 'give the folder to write, after g2p; the formats that can hold this model: --to native'],
    [['trian', 'g2p'], "unknown command 'trian'"],
    [['bench', 'routers', '--only', 'hsh'], 'did you mean hash?'],
    [['train', 'g2p', '--stepz', '3'], "unknown option '--stepz'"],
  ])('%j', async (args, message) => {
    await writeFile(join(cli.folder, 'pairs.tsv'), 'a\tb\nc\td\n')
    const { code, stdout, stderr } = await cli.run(...args)
    expect(stderr).toContain(message)
    expect(stderr).not.toMatch(/^ {4}at /m)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(await readdir(cli.folder)).not.toContain('runs')
  })
})

it('plan prints a mesh that fits, its assumptions and its accuracy, or all of that as JSON', async () => {
  const { code, stdout } = await cli.run('plan', 'switch-c-2048', '--devices', '1024')
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /^switch-c-2048: 1,571,327,875,360 parameters, on 1,024 h100\n.*\nbest mesh: expert=512,tensor=2\n.*\n {2}together +[\d.]+ GiB\n.*\na step: \d+ ms .*\nassumptions:\n.*\naccuracy: .*\(docs\/plan.md\)\n$/s,
  )
  const json = await cli.run('plan', 'g2p', '--devices', '4', '--memory', '1GB', '--interconnect', '1GB/s', '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    name: 'g2p',
    device: { memory: 1e9, links: { kind: 'flat', bandwidth: 1e9 } },
    best: { memory: { parameters: expect.any(Number) } },
  })
})

it("plan predicts one mesh alone, and marks the configuration's", async () => {
  const alone = await cli.run('plan', 'switch-base-8', '--mesh', 'data=2,expert=4')
  expect(alone.stdout).toMatch(
    /, on 8 h100\n.*\nmesh: data=2,expert=4\nit does not fit: .* It fits with --set train\.accumulate=4 \(.*\na step: /s,
  )
  expect(alone.stdout).not.toContain('other meshes')
  const json = await cli.run('plan', 'g2p', '--mesh', 'data=2', '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({ devices: 2, plan: { mesh: { data: 2, expert: 1 } }, fits: true })
  const marked = await cli.run('plan', 'g2p', '--set', 'train.mesh=data=2,expert=2')
  expect(marked.stdout).toMatch(/, on 4 h100\n.*\nthe configuration's train\.mesh: data=2,expert=2: a step takes /s)
  expect(marked.stdout).toMatch(/^ {2}data=2,expert=2 \(train\.mesh\) /m)
  const best = await cli.run('plan', 'g2p', '--set', 'train.mesh=data=4')
  expect(best.stdout).toContain("best mesh: data=4\n  it is the configuration's train.mesh\n")
})

describe('failures end with code 1', () => {
  it.each<[string[], string | RegExp]>([
    [['verify', 'g2p'], "g2p: these weights are in Switchyard's format and have no reference values"],
    [['infer', 'runs/none', 'word'], 'runs/none: there is no such folder'],
    [['plot', 'runs/none', '--out', 'curves.svg'], 'runs/none: '],
    [['eval', 'runs/none'], 'runs/none: there is no such folder'],
    [['finetune', 'runs/none', '--task', 'g2p'], 'runs/none: there is no such folder'],
    [['resume', 'runs/none'], 'runs/none: there is no such folder'],
    [['inspect', 'runs/none'], 'runs/none: there is no such folder'],
    [['config', 'explain', 'runs/none'], 'runs/none: there is no such folder'],
    [['config', 'diff', 'g2p', 'runs/none'], 'runs/none: there is no such folder'],
    [['convert', 'runs/none', 'x'], 'runs/none: there is no such folder'],
    [['upcycle', 'runs/none', 'x', '--experts', '2'], 'runs/none: there is no such folder'],
    [['infer', 'g2p', '--data', 'none.tsv'], 'none.tsv: there is no such file'],
    [['eval', 'g2p', '--data', 'bad.tsv'], 'bad.tsv:2: expected 2 columns'],
    [['train', '--data', 'one.tsv'], 'one.tsv: has one column'],
    [['train', 'g2p', '--out', 'bad.tsv'], '--out bad.tsv: this is a file, but a run needs a folder'],
    [['convert', 'g2p', 'bad.tsv', '--to', 'native', '--dtype', 'float32'], 'bad.tsv: something is there already'],
    [
      ['infer', 'nosuch', 'word'],
      "nosuch: there is no such folder; a run was expected (runs/g2p), a model's folder, a model that comes with Switchyard (g2p), or a model of the Hugging Face hub",
    ],
    [['verify', 'nosuch'], 'nosuch: there is no such folder'],
    [
      ['eval', 'bad.tsv'],
      "bad.tsv: this is a file; a run's folder was expected, such as runs/g2p, for its own task; any other model",
    ],
    [['eval', '.'], ".: there is no run in this folder; a run's folder was expected, such as runs/g2p"],
    [['inspect', 'nosuch'], 'there is no preset, recipe, task or folder nosuch'],
    [['inspect', 'switch-bass-8'], 'did you mean switch-base-8?'],
    [['plan', 'runs/none'], 'runs/none: there is no such folder'],
    [['plan', 'bad.tsv'], 'bad.tsv: this is not JSON'],
    [['plan', '.'], '.: there is no model in this folder'],
    [['plan', 'switch-xxl-128', '--devices', '8'], 'Devices of 573.92 GiB would fit, or 128 of these devices'],
    ...[
      'infer bad.tsv x',
      'inspect bad.tsv',
      'eval bad.tsv --data pairs.tsv',
      'convert bad.tsv x',
      'embed bad.tsv x',
    ].map((line): [string[], string] => [
      line.split(' '),
      'bad.tsv: this is a file; a model was expected: a Hugging Face folder (config.json and weights), a T5X checkpoint',
    ]),
    ...['infer . x', 'inspect .', 'eval . --data pairs.tsv', 'convert . x', 'embed . x'].map(
      (line): [string[], string] => [
        line.split(' '),
        '.: there is no model in this folder; a model was expected: a Hugging Face folder',
      ],
    ),
    [['train', '--data', 'none.tsv'], 'none.tsv: there is no such file'],
    [
      ['train', '--data', 'bad.tsv'],
      /bad\.tsv:2: expected 2 columns .*, got 1: "c"\n.*bad\.tsv:4: the input \(column 1\) is empty/,
    ],
  ])('%j', async (args, message) => {
    await writeFile(join(cli.folder, 'one.tsv'), 'a\nb\n')
    await writeFile(join(cli.folder, 'pairs.tsv'), 'a\tb\nc\td\n')
    await writeFile(join(cli.folder, 'bad.tsv'), 'a\tb\nc\nd\te\n\tf\n')
    const { code, stderr } = await cli.run(...args)
    expect(stderr).toEqual(
      typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
    )
    expect(stderr).not.toMatch(/^ {4}at /m)
    expect(code).toBe(1)
  })

  it.each<[string[], RegExp]>([
    [
      ['init', 'switch-c-2048', 'huge'],
      /huge: writing needs 5\.72 TiB, and this disk has .* free: use another disk; --dtype bfloat16 takes 2\.86 TiB\n$/,
    ],
    [
      ['train', 'g2p', '--set', 'model.numExperts=120000', '--out', 'huge'],
      /^switchyard: training \(.*\) takes about [\d.]+ GiB of memory.* are free: model\.numExperts=\d+ would fit\. To try it anyway, set the environment variable SWITCHYARD_MEMORY_CHECK=off\n$/,
    ],
  ])('when memory or disk would not suffice, before anything is written: %j', async (args, message) => {
    const { code, stderr } = await cli.run(...args)
    expect(stderr).toMatch(message)
    expect(code).toBeGreaterThan(0)
    expect(await readdir(cli.folder)).not.toContain('huge')
  })

  it.skipIf(!existsSync('/dev/full'))('when the output cannot be written, with one line', () => {
    const full = openSync('/dev/full', 'w')
    const ended = spawnSync(
      process.execPath,
      [join(started.package_, 'bin/switchyard.js'), 'inspect', 'switch-base-8'],
      {
        stdio: ['ignore', full, 'pipe'],
        encoding: 'utf8',
      },
    )
    closeSync(full)
    expect(ended).toMatchObject({
      status: 1,
      stderr: 'switchyard: the output cannot be written: the disk is full: free some space and try again\n',
    })
  })

  it('when a hook of the configuration throws: its line is named, and a run without a checkpoint leaves no folder', async () => {
    const config = join(cli.folder, 'switchyard.config.mjs')
    const hooks = "{ onStep() {\n throw new Error('my hook')\n} }"
    await writeFile(config, `export default { hooks: ${hooks} }\n`)
    const { code, stdout, stderr } = await cli.run('train', 'g2p', ...tiny, '--out', 'hooked')
    await rm(config)
    expect(stdout).toContain('training in hooked\n')
    expect(stderr).toMatch(/switchyard\.config\.mjs:2:\d+: my hook\n$/)
    expect(code).toBe(1)
    expect(await readdir(cli.folder)).not.toContain('hooked')
  })

  it('when the loss is no longer finite, and save nothing broken', async () => {
    const { code, stderr } = await cli.run(
      'train',
      'g2p',
      ...tiny,
      '--set',
      'train.steps=30',
      '--set',
      'train.schedule.peak=1e30',
      '--set',
      'train.clipNorm=null',
      '--set',
      'train.checkpointEvery=30',
      '--out',
      'diverged',
    )
    expect(stderr).toMatch(/the (loss|gradient's norm) is (NaN|Infinity) at step \d+|is not finite after step \d+/)
    expect(code).toBe(1)
    const files = await readdir(join(cli.folder, 'diverged'))
    expect(files.filter(name => /^diverged-step-\d+\.safetensors$/.test(name))).toHaveLength(1)
    expect(files.filter(name => name.startsWith('step-'))).toEqual([])
  })
})

describe('backends', () => {
  it('doctor says what computes, runs a small program on it, and says how to install what is missing', async () => {
    const { code, stdout, stderr } = await started.run('doctor')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^onnx +onnxruntime-node [\d.]+, \d+ threads: a small program was compiled in .* ms$/m)
    expect(stdout).toMatch(
      xlaPlugin
        ? /^xla +XLA \(.*PJRT 0\.\d+\), 1 x cpu, StableHLO [\d.]+: a small program was compiled in .* ms$/m
        : /^xla +no PJRT plugin was found/m,
    )
    const findings = JSON.parse((await started.run('doctor', '--json')).stdout) as { machine: { node: string } }
    expect(findings.machine.node).toBe(process.versions.node)
  })

  it.skipIf(!broken)('doctor goes on if a plugin ends the process that loads it', async () => {
    const plugin = join(started.folder, 'broken.so')
    await writeFile(plugin, broken!)
    vi.stubEnv('SWITCHYARD_PJRT_PLUGIN', plugin)
    const { code, stdout } = await started.run('doctor').finally(() => vi.unstubAllEnvs())
    expect(code).toBe(1)
    expect(stdout).toMatch(/^onnx .* ran in/m)
    expect(stdout).toContain(`does not run: ${plugin} ended the process that loaded it, by SIGILL`)
    expect(stdout).toMatch(/^processes /m)
  })

  it.skipIf(!xlaPlugin)('infer answers the same on XLA', async () => {
    const answer = async (...options: string[]): Promise<string> =>
      (await cli.run('infer', 'g2p', 'switchyard', ...options)).stdout
    const expected = await answer()
    expect(expected).not.toBe('')
    expect(await answer('--backend', 'xla')).toBe(expected)
    expect(await answer()).toBe(expected)
  })
})

describe('information', () => {
  it('--version and --help', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(await cli.run('--version')).toMatchObject({ code: 0, stdout: `${version}\n` })
    const help = await cli.run('--help')
    expect(help.code).toBe(0)
    for (const command of ['train', 'infer', 'eval', 'inspect', 'plot', 'verify', 'convert', 'init', 'explain'])
      expect(help.stdout).toContain(`  ${command} `)
    expect((await cli.run('train', '--help')).stdout).toContain(
      '--set model.encoderSparseEvery=0 --set model.decoderSparseEvery=0',
    )
  })

  it('--print-config prints what --set changes, as JSON', async () => {
    const { code, stdout } = await cli.run('train', 'g2p', '--set', 'train.steps=7', '--print-config')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ task: { kind: 'g2p' }, train: { steps: 7, rows: 16 } })
    // train, plan and config explain take it as a file.
    const file = join(cli.folder, 'seven.json')
    await writeFile(file, stdout)
    const again = await cli.run('train', file, '--set', 'train.rows=8', '--print-config')
    expect(JSON.parse(again.stdout)).toMatchObject({ task: { kind: 'g2p' }, train: { steps: 7, rows: 8 } })
    expect((await cli.run('config', 'explain', file)).stdout).toMatch(/^train\.steps +7 +.*seven\.json$/m)
    await writeFile(
      file,
      stdout.replace(
        '"from": null',
        '"from": {"path": "runs/x", "step": 1, "container": "run", "optimizer": "fresh", "rules": []}',
      ),
    )
    expect((await cli.run('train', file)).stderr).toMatch(/seven\.json: this .*from/)
    const explained = await cli.run('config', 'explain', 'g2p', '--set', 'train.mesh=data=2')
    expect(explained.stdout).toMatch(/^train\.mesh\.data +2 +--set$/m)
  })

  it.each([
    ['switch-base-8', '619,339,008', 'encoder/layers_1,3,5,7,9,11'],
    ['switch-xxl-128', '394,675,073,024', 'mlp/expert/wi_0/kernel'],
    ['switch-c-2048', '1,571,327,875,360', 'decoder/layers_0,1,2'],
  ])('inspect %s', async (preset, parameters, part) => {
    const { code, stdout } = await cli.run('inspect', preset)
    expect(code).toBe(0)
    expect(stdout).toContain(`parameters                        ${parameters}\n`)
    expect(stdout).toContain(part)
  })
})

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

describe('convert', () => {
  it('writes a folder with the same model, never overwrites one, and fails if infer could not open it', async () => {
    const done = await cli.run('convert', fixture('switch-tiny'), 'converted')
    const missing = (folder: string, container: string): object => ({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        `\\(${container}\\)[^]*switchyard: written to ${folder}, but infer cannot open it: ${folder}: there is no vocabulary .*: put the model's own there`,
      ) as string,
    })
    expect(done).toMatchObject(missing('converted', 'huggingface'))
    for (const name of ['cases.safetensors', 'generation.json'])
      await copyFile(join(fixture('switch-tiny'), name), join(cli.folder, 'converted', name))
    const verified = await cli.run('verify', 'converted')
    expect(verified.stdout).toContain('148 tensors compared, all within the tolerance')
    expect(verified.code).toBe(0)
    expect(await cli.run('convert', 'converted', 'as-t5x', '--to', 't5x')).toMatchObject(
      missing('as-t5x', 'huggingface'),
    )
    expect(await cli.run('convert', 'as-t5x', 'back')).toMatchObject(missing('back', 't5x'))
    expect(await cli.run('convert', 'back', 'native', '--to', 'native')).toMatchObject(missing('native', 'huggingface'))
    expect(await readFile(join(cli.folder, 'back/model.safetensors'))).toEqual(
      await readFile(join(cli.folder, 'converted/model.safetensors')),
    )
    const inspected = (await cli.run('inspect', 'as-t5x')).stdout
    expect(inspected).toContain('parameters                        115,008\n')
    expect(inspected).toContain('vocabulary                        none: infer, eval and finetune need one beside')
    const own = (await cli.run('inspect', fixture('cases/24-lora-base'))).stdout
    expect(own).toMatch(/vocabulary {24}[a-z_.,j ]*(tokenizer\.json|spiece\.model|tokenizer_config\.json)/)
    const again = await cli.run('convert', fixture('switch-tiny'), 'converted')
    expect(again.stderr).toContain('something is there already')
    expect(again.code).toBe(1)
    expect((await cli.run('infer', 'converted', 'a text')).stderr).toContain(
      'there is no vocabulary (spiece.model, tokenizer.json, vocab.json, tokenizer_config.json) beside the weights',
    )
  })

  it('opens an encoder alone again as well', async () => {
    expect(await cli.run('convert', fixture('cases/09-encoder-only'), 'encoder')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^written to encoder, and opened again; it is an encoder alone, which /) as string,
    })
  })
})

describe('verify', () => {
  const files = ['--params', fixture('t5x/params.safetensors'), '--cases', fixture('t5x/switch_padded.safetensors')]

  it('ends with 0 when every tensor is that of the reference', async () => {
    const t5x = await cli.run('verify', ...files)
    expect(t5x.stdout).toContain('172 tensors compared, all within the tolerance')
    expect(t5x.code).toBe(0)
    const folder = await cli.run('verify', fixture('switch-tiny'))
    expect(folder.stdout).toContain('148 tensors compared, all within the tolerance')
    expect(folder.stdout).toMatch(/^generation\/beam4 .*ok$/m)
    expect(folder.code).toBe(0)
  })

  it('ends with 1 when one is not', async () => {
    const { code, stdout } = await cli.run('verify', ...files, '--set', 'router.minExpertCapacity=9')
    expect(stdout).toMatch(/ DIFFERS$/m)
    expect(stdout).toContain('past the tolerance')
    expect(code).toBe(1)
  })

  it('prints a line for each of several folders, and goes on after one that has no cases', async () => {
    const folders = ['cases/10-umt5', 'switch-tiny-bin', 'cases/09-encoder-only'].map(fixture)
    const { code, stdout } = await cli.run('verify', ...folders)
    expect(stdout.split('\n').map(line => line.replace(/\S+fixtures\//, '').replaceAll(/ +/g, ' '))).toEqual([
      expect.stringMatching(/^cases\/10-umt5 2 tensors \d\.\de-7 \S+ ok$/),
      'switch-tiny-bin NOT COMPARED: there is no cases.safetensors, the recorded values to compare with',
      expect.stringMatching(/^cases\/09-encoder-only 1 tensor \d\.\de-7 encoder_last_hidden_state ok$/),
      '',
      '3 tensors compared, all within the tolerance; 1 of 3 models could not be compared',
      '',
    ])
    expect(code).toBe(1)
    const json = await cli.run('verify', '--json', '--tolerance', '0', folders[2])
    expect(JSON.parse(json.stdout)).toMatchObject([
      { name: folders[2], rows: [{ tensor: 'encoder_last_hidden_state', ok: false }] },
    ])
    expect(json.code).toBe(1)
  })

  it('refuses settings that do not exist', async () => {
    expect(await cli.run('verify', ...files, '--set', 'router.minCapacity=9')).toMatchObject({ code: 2, stdout: '' })
    expect(await cli.run('verify')).toMatchObject({
      code: 2,
      stderr: 'switchyard: give a folder, or both --params and --cases\n',
    })
  })
})

describe('explain', () => {
  it('shows every stage, and a model that has learned', async () => {
    const { code, stdout, stderr } = await cli.run('explain')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const headings = [...stdout.matchAll(/^== (.+) ==$/gm)].map(match => match[1])
    expect(headings).toEqual([
      'Text',
      'Features',
      'Program',
      'Gradient program',
      'Simplified',
      'Random numbers',
      'Memory plan',
      'ONNX nodes',
      'Training',
      'Checkpoint',
      'Generated text',
    ])
    const last = stdout.slice(stdout.indexOf('== Generated text =='))
    expect(last).toContain('switch -> S W IH CH')
    expect(last).toContain('yard -> Y AA R D')
  })
})

it('bench routers trains the same model with each router and prints a table', async () => {
  const small = ['train.schedule.warmupSteps=1', 'train.rows=2', 'model.dModel=16', 'model.dFf=16', 'model.numHeads=1']
  const { code, stdout } = await cli.run(
    ...'bench routers --steps 2 --only top-1 --only hash'.split(' '),
    ...small.flatMap(setting => ['--set', setting]),
  )
  expect(code).toBe(0)
  expect(stdout).toMatch(/^\nrouter +validation loss +tokens right +ms a step +\/ top-1 +dropped +dead experts$/m)
  expect(stdout).toMatch(/^top-1 +\d\.\d{3} +\d+\.\d% +\d+\.\d +1\.00 +\d+\.\d% +\d+$/m)
  expect(stdout).toMatch(/^hash +\d\.\d{3} /m)
})
