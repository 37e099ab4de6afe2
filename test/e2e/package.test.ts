import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** A user's project: empty, but for what npm puts there. */
describe('as a dependency', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-user-'))
  const run = (command: string, ...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' })
    expect(status, `${command} ${args.join(' ')}\n${stdout}${stderr}`).toBe(0)
    return stdout
  }
  const root = resolve(import.meta.dirname, '../..')

  beforeAll(() => {
    const [{ filename }] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
        cwd: root,
        encoding: 'utf8',
        stdio: 'pipe',
      }).replace(/^[^[]*(?=\[\s*\{)/, ''),
    ) as [{ filename: string }]
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
    run('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', join(folder, filename))
    cpSync(join(root, 'examples/fit-a-line.ts'), join(folder, 'fit-a-line.ts'))
  }, 240_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('brings its types, and trains a ten-line model, with install scripts blocked', () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    run(
      process.execPath,
      tsc,
      'fit-a-line.ts',
      '--strict',
      '--target',
      'es2022',
      '--module',
      'nodenext',
      '--lib',
      'es2023,dom',
    )
    expect(readFileSync(join(folder, 'fit-a-line.js'), 'utf8')).toContain('valueAndGrad')
    expect(run(process.execPath, 'fit-a-line.js')).toBe('y = 3.000 x + -1.000\n')
  })

  it('brings its command', () => {
    expect(run('npx', 'switchyard', '--version')).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
  it("brings T5's vocabulary", () => {
    const script =
      'const { loadT5Vocabulary } = await import(process.argv[1]); console.log((await loadT5Vocabulary()).encode("Hello, world!").join())'
    const module = join(folder, 'node_modules/switchyard-ml/dist/open/load-vocabulary.js')
    expect(run(process.execPath, '--input-type=module', '--eval', script, module)).toBe('8774,6,296,55\n')
  })
})
