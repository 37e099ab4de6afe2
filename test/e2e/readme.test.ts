import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../../src/checkpoint/weights.js'
import { preset } from '../../src/model/presets.js'
import { TestHub } from '../hub-server.js'
import { mpiLibrary } from '../processes/mpi-job.js'
import { xlaPlugin } from '../xla-plugin.js'
import { CalledCli } from './called-cli.js'
import { Cli, tiny } from './cli.js'
import { smallSizes } from '../small-model.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const docs = join(repository, 'docs')
const pages = [
  join(repository, 'README.md'),
  ...(existsSync(docs)
    ? readdirSync(docs)
        .filter(name => name.endsWith('.md'))
        .map(name => join(docs, name))
    : []),
]

interface Block {
  readonly page: string
  readonly language: string
  readonly text: string
}

/** Fenced blocks with their language, and indented ones (commands) without. */
function blocksOf(page: string): Block[] {
  const markdown = readFileSync(page, 'utf8')
  const name = page.slice(repository.length)
  const fenced = [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
    page: name,
    language,
    text,
  }))
  const indented = [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/(?:^ {4}.*\n)+/gm)].map(([text]) => ({
    page: name,
    language: 'sh',
    text,
  }))
  return [...fenced, ...indented]
}

const blocks = pages.flatMap(blocksOf)
const commands = blocks
  .filter(block => ['sh', 'bash', 'shell'].includes(block.language))
  .flatMap(({ text }) =>
    text
      .split('\n')
      .flatMap(line => line.split('&&'))
      .map(line => line.replace(/(^|\s)#.*$/, '').trim()),
  )
  .filter(line => /^(npm|npx|switchyard) /.test(line))

const words = (command: string): string[] =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain)

/** Settings of a fine-tuning of four steps. */
const short = [
  'train.steps=4',
  'train.rows=2',
  'train.inputLength=64',
  'train.targetLength=64',
  'train.checkpointEvery=2',
  'train.evalExamples=1',
].flatMap(setting => ['--set', setting])

/** The same command with a tiny model, few steps or few examples, so that it ends soon. */
function quickly(args: readonly string[]): string[] {
  if (args[0] === 'launch') {
    const command = args.indexOf('--') + 1
    return [...args.slice(0, command), ...quickly(args.slice(command))]
  }
  if (args[0] === 'train') {
    // A mesh of 4 devices divides 4 rows.
    const rows = args.includes('--mesh') ? ['--set', 'train.rows=4'] : []
    return [...args, ...tiny, '--set', 'train.steps=4', ...rows]
  }
  if (args[0] === 'finetune' || args[0] === 'distill') return [...args, ...short]
  if (args[0] === 'bench') return [...args, ...tiny, '--steps', '4', '--only', 'top-1', '--only', 'hash']
  if (args[0] === 'eval') return [...args, '--examples', '5']
  if (args[0] === 'infer' && args[1].includes('google/')) return [...args, '--max-new-tokens', '4']
  return [...args]
}

/** A tiny model with T5's vocabulary and the architecture of a preset, as the hub would serve it under this name. */
async function publish(hub: TestHub, name: string, presetName: string, folder: string): Promise<void> {
  const { model, router } = preset(presetName)
  await writeHfWeights(folder, newWeights(name, { ...model, ...smallSizes, dtype: 'float32' }, router, 0))
  await copyFile(join(repository, 'assets/t5-vocab/spiece.model'), join(folder, 'spiece.model'))
  await hub.addFolder(name, folder)
}

const configBlock = blocks.find(({ text }) => text.startsWith('// switchyard.config.ts\n'))!

let cli: Cli
let called: CalledCli
let hub: TestHub
const environment = { ...process.env }
beforeAll(async () => {
  ;[cli, hub] = await Promise.all([Cli.create(), TestHub.start()])
  called = await CalledCli.create(cli.folder)
  process.env.HF_ENDPOINT = hub.url
  process.env.HF_HUB_CACHE = join(cli.folder, 'hub-cache')
  await publish(hub, 'google/flan-t5-small', 't5-1.1-small', join(cli.package_, 'flan'))
  await publish(hub, 'google/switch-base-8', 'switch-base-8', join(cli.package_, 'switch'))
  for (const name of ['google/switch-base-128', 'google/switch-c-2048'])
    await publish(hub, name, 'switch-base-8', join(cli.package_, name.slice('google/'.length)))
  for (const name of ['words.txt', 'others.txt']) await writeFile(join(cli.folder, name), 'switchyard\ntransformer\n')
  const numbers = Array.from({ length: 200 }, (_, i) => i)
  await writeFile(join(cli.folder, 'pairs.tsv'), numbers.map(i => `${i}\t${i * 7}\n`).join(''))
  const reviews = numbers.map(i => `"The ${i % 2 ? 'good' : 'bad'} meal, number ${i}",${i % 2}\n`)
  await writeFile(join(cli.folder, 'reviews.csv'), `review,label\n${reviews.join('')}`)
  await writeFile(join(cli.folder, 'switchyard.config.ts'), configBlock.text)
  await writeFile(join(cli.folder, 'keys.txt'), 'a-key\n')
})
afterAll(async () => {
  for (const key of ['HF_ENDPOINT', 'HF_HUB_CACHE']) {
    if (environment[key] === undefined) delete process.env[key]
    else process.env[key] = environment[key]
  }
  await Promise.all([called?.remove(), hub?.stop()])
})

describe('every command of the README and docs', () => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }

  it.each([...new Set(commands)])('%s', async command => {
    const [tool, ...args] = words(command)
    const script = /^npm (?:run )?(\w[\w:]*)/.exec(command)?.[1] ?? ''
    if (tool === 'npm' && ['ci', 'install', 'pack'].includes(script)) return
    if (tool === 'npm' && scripts[script]?.startsWith('node bin/switchyard.js '))
      return runSwitchyard(words(scripts[script]).slice(2))
    if (tool === 'npm') return expect(Object.keys(scripts), `npm run ${script}`).toContain(script)
    if (tool === 'npx') expect(args.shift(), command).toBe('switchyard')
    await runSwitchyard(args)
  })

  async function runSwitchyard(args: readonly string[]): Promise<void> {
    if (args[0] === 'serve') return serve(args)
    const redirect = args.indexOf('>')
    if (redirect >= 0) {
      const { code, stdout, stderr } = await called.run(...quickly(args.slice(0, redirect)))
      expect(code, stderr).toBe(0)
      return writeFile(join(cli.folder, args[redirect + 1]), stdout)
    }
    const { code, stderr } = await called.run(...quickly(args))
    if ((args.includes('xla') && !xlaPlugin) || (args[0] === 'launch' && !mpiLibrary)) {
      expect(code).toBe(1)
      return expect(stderr).toContain('pip install')
    }
    expect(code, stderr).toBe(0)
  }

  /** Starts a server, and stops it as soon as its models answer. */
  async function serve(args: readonly string[]): Promise<void> {
    const names = args.slice(1).filter((word, i) => !word.startsWith('-') && !args[i].startsWith('-'))
    let loaded = 0
    const { code, stderr } = await cli.start([...args, '--port', '0'], (stdout, process) => {
      loaded = stdout.split(', loaded in ').length - 1
      if (loaded === names.length) process.kill('SIGTERM')
    })
    expect(code, stderr).toBe(0)
    expect(loaded).toBe(names.length)
  }
})

describe('every program of the README and docs', () => {
  it('has correct types', () => {
    const programs = blocks.filter(({ language }) => ['ts', 'typescript'].includes(language))
    const texts = new Map(programs.map(({ text }, i) => [join(repository, `readme-program-${i}.mts`), text]))
    const options: ts.CompilerOptions = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.NodeNext,
      types: ['node'],
      paths: Object.fromEntries(
        ['', '/browser', '/engine', '/serve'].map(part => [
          `switchyard-ml${part}`,
          [join(cli.package_, 'dist', `${part.slice(1) || 'index'}.d.ts`)],
        ]),
      ),
    }
    const host = ts.createCompilerHost(options)
    const readFromDisk = host.getSourceFile.bind(host)
    host.getSourceFile = (name, version) =>
      texts.has(name) ? ts.createSourceFile(name, texts.get(name)!, version) : readFromDisk(name, version)
    host.fileExists = name => texts.has(name) || ts.sys.fileExists(name)
    const program = ts.createProgram([...texts.keys()], options, host)
    const errors = [...texts.keys()].flatMap(name => ts.getPreEmitDiagnostics(program, program.getSourceFile(name)))
    expect(
      errors.map(({ file, messageText }) => [file?.text, ts.flattenDiagnosticMessageText(messageText, '\n')]),
    ).toEqual([])
  })

  // Those of docs/serving.md need the server that the page starts first, and some a plugin for XLA or MPICH.
  const run = blocks.filter(
    ({ page, language, text }) =>
      ['ts', 'js'].includes(language) &&
      page !== 'docs/serving.md' &&
      (xlaPlugin !== undefined || !text.includes("openBackend('xla'")) &&
      (mpiLibrary !== undefined || !text.includes('joinProcesses')),
  )
  it.each(run)('$page: $text', async ({ text }) => {
    const folder = join(cli.folder, 'programs')
    await mkdir(join(folder, 'node_modules'), { recursive: true })
    await symlink(cli.package_, join(folder, 'node_modules', 'switchyard-ml')).catch(() => undefined)
    const file = join(folder, `program-${Date.now()}.mjs`)
    const fewSteps = text.replace(/(?<=train: \{ steps: )\d+/, '4')
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
    await writeFile(file, ts.transpileModule(fewSteps, { compilerOptions }).outputText)
    // The commands above have left their runs in this folder.
    await promisify(execFile)(process.execPath, [file], { cwd: cli.folder })
  })
})
