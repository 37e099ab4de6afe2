import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cli, tiny } from './cli.js'

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

/** The same command with a tiny model, so that it ends soon. */
function quickly(args: readonly string[]): string[] {
  if (args[0] === 'train') return [...args, ...tiny, '--set', 'train.steps=4']
  if (args[0] === 'eval') return [...args, '--examples', '5']
  return [...args]
}

let cli: Cli
beforeAll(async () => {
  cli = await Cli.build()
  await writeFile(join(cli.folder, 'pairs.tsv'), Array.from({ length: 200 }, (_, i) => `${i}\t${i * 7}\n`).join(''))
})
afterAll(() => cli?.remove())

describe('every command of the README and docs', () => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }

  it.each(commands)('%s', async command => {
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
    const { code, stderr } = await cli.run(...quickly(args))
    expect(code, stderr).toBe(0)
  }
})

describe('every program of the README and docs', () => {
  it.each(blocks.filter(block => ['ts', 'js'].includes(block.language)))('$page: $text', async ({ text }) => {
    const folder = join(cli.folder, 'programs')
    await mkdir(join(folder, 'node_modules'), { recursive: true })
    await symlink(cli.package_, join(folder, 'node_modules', 'switchyard-ml')).catch(() => undefined)
    const file = join(folder, `program-${Date.now()}.mjs`)
    await writeFile(
      file,
      ts.transpileModule(text, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } })
        .outputText,
    )
    // The commands above have left their runs in this folder.
    await promisify(execFile)(process.execPath, [file], { cwd: cli.folder })
  })
})
