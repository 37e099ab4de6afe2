import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { transformSync } from 'esbuild'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
// `npm test` passes its own settings to this process (npm_config_*). A user's npm would not get them.
const settings = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|onnxruntime)_/i.test(name)))

/** The line of the README that installs the package, as words. */
const [, ...installLine] = /^ {4}(npm install switchyard-ml\b.*)$/m
  .exec(readFileSync(join(root, 'README.md'), 'utf8'))![1]
  .split(' ')

const folders: string[] = []
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-user-'))
  folders.push(folder)
  return folder
}
afterAll(() => folders.forEach(folder => rmSync(folder, { recursive: true, force: true })))

/** The package as npm publishes it. It is built already, so `prepare`, which builds it, is left out. */
let tarball: string
beforeAll(() => {
  const folder = newFolder()
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const [{ filename }] = JSON.parse(start(inject('packageFolder'), 'npm', args).stdout) as [{ filename: string }]
  tarball = join(folder, filename)
})

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(cwd: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Ended {
  return spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...settings, ...env } })
}

/** A user's project: empty, but for what npm puts there. */
class Project {
  readonly folder = newFolder()

  constructor() {
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
  }

  /**
   * Runs npm with the packed file instead of the package's name. Nothing but npm's registry can be reached.
   */
  install(...words: readonly string[]): Ended {
    const args = words.map(word => (word === 'switchyard-ml' ? tarball : word))
    return start(this.folder, 'npm', [...args, '--no-audit', '--no-fund', '--prefer-offline'], {
      GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9',
    })
  }

  /** Starts the installed command. */
  start(...args: readonly string[]): Ended {
    return start(this.folder, join('node_modules', '.bin', 'switchyard'), args)
  }

  run(command: string, ...args: readonly string[]): string {
    const { status, stdout, stderr } = start(this.folder, command, args)
    expect(status, `${command} ${args.join(' ')}\n${stdout}${stderr}`).toBe(0)
    return stdout
  }

  /** Checks a program of the README with the types that the installed package brings. */
  checkTypes(): void {
    const options = '--noEmit --strict --target es2022 --module nodenext --lib es2023,dom'
    writeFileSync(join(this.folder, 'fit-a-line.ts'), fitALine)
    this.run(process.execPath, join(root, 'node_modules/typescript/bin/tsc'), 'fit-a-line.ts', ...options.split(' '))
  }

  fitALine(): string {
    writeFileSync(join(this.folder, 'fit-a-line.js'), transformSync(fitALine, { loader: 'ts' }).code)
    return this.run(process.execPath, 'fit-a-line.js')
  }
}

const fitALine = readFileSync(join(root, 'examples/fit-a-line.ts'), 'utf8')

/** The package's own subpaths: '', '/engine' ... */
const subpaths = Object.keys(
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: Record<string, unknown> }).exports,
)
  .filter(key => key !== './package.json')
  .map(key => key.slice(1))

describe('the packed file', () => {
  it.each([
    ['publint', ['run', '--strict']],
    // CommonJS and the resolution of before Node 12 are not supported.
    ['attw', ['--profile', 'esm-only', '--no-emoji']],
  ])('passes %s', (tool, args) => {
    const { status, stdout, stderr } = start(root, 'npx', ['--no-install', tool, ...args, tarball])
    expect(status, stdout + stderr).toBe(0)
  })
})

const line = 'y = 3.000 x + -1.000\n'

// One project, in this order: each installation of all dependencies takes 10 s of CPU.
describe('as a dependency', () => {
  const project = new Project()

  it('is installed and works if install scripts are blocked, without the npm setting of the README', () => {
    const { status, stderr } = project.install('install', 'switchyard-ml', '--ignore-scripts')
    expect(status, stderr).toBe(0)
    expect(project.fitALine()).toBe(line)
  })

  it.each([
    ['incomplete', 'bin/napi-v6'],
    ['missing', ''],
  ])('says how to install ONNX Runtime when it is %s', (_, part) => {
    rmSync(join(project.folder, 'node_modules/onnxruntime-node', part), { recursive: true })
    const { status, stderr } = project.start('train', 'g2p')
    expect(status).toBe(1)
    expect(stderr).toMatch(/^switchyard: ONNX Runtime cannot be loaded \(Cannot find .*\)\. Install it again: .*\n$/)
    expect(stderr).toContain(installLine.join(' '))
  })

  it("is installed by the README's line, brings its types, and trains a ten-line model", () => {
    const { status, stderr } = project.install(...installLine)
    expect(status, stderr).toBe(0)
    project.checkTypes()
    expect(project.fitALine()).toBe(line)
  })

  it('brings the pages that its README links to', () => {
    const installed = join(project.folder, 'node_modules/switchyard-ml')
    const readme = readFileSync(join(installed, 'README.md'), 'utf8')
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link)
    expect(links).toContain('docs/tour.md')
    expect(links.filter(link => !existsSync(join(installed, link)))).toEqual([])
  })

  it('brings its command', () => {
    expect(project.run('npx', 'switchyard', '--version')).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('can be imported by each of its subpaths', () => {
    const script = `for (const name of process.argv.slice(1))
      console.log(Object.keys(await import(name)).length > (name.endsWith('/serve') ? 0 : 5), name)`
    const names = subpaths.map(subpath => `switchyard-ml${subpath}`)
    const output = project.run(process.execPath, '--input-type=module', '--eval', script, ...names)
    expect(output).toBe(names.map(name => `true ${name}\n`).join(''))
  })

  it('brings a model that answers offline', () => {
    const { stdout, stderr } = project.start('infer', 'g2p', 'switchyard')
    expect(stdout, stderr).toBe('switchyard\tS W IH CH Y AA R D\n')
  })

  it("brings T5's vocabulary", () => {
    const script =
      'const { loadT5Vocabulary } = await import(process.argv[1]); console.log((await loadT5Vocabulary()).encode("Hello, world!").join())'
    const module = join(project.folder, 'node_modules/switchyard-ml/dist/data/vocabularies/load-vocabulary.js')
    expect(project.run(process.execPath, '--input-type=module', '--eval', script, module)).toBe('8774,6,296,55\n')
  })

  it('is not installed if install scripts may run without the setting and NuGet cannot be reached', () => {
    expect(project.install('rebuild', 'onnxruntime-node').status).not.toBe(0)
    expect(project.install('rebuild', 'onnxruntime-node', ...installLine.slice(2)).status).toBe(0)
  })
})
