import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../../src/checkpoint/weights.js'
import { baseModel, baseRouter } from '../../src/model/presets.js'
import { Cli } from '../e2e/cli.js'
import { bundle, foreignTo, sizesOf } from './bundle.js'
import { findChromium } from './chromium.js'
import { programs } from './program.js'
import type { useSessions } from './program.js'
import { serveFiles, startServer } from './server.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const require = createRequire(import.meta.url)

/** A user's project: the package as it is built from the sources, and its dependencies. */
let project: string
let package_: Cli
beforeAll(async () => {
  package_ = await Cli.create()
  project = await mkdtemp(join(tmpdir(), 'switchyard-browser-'))
  await mkdir(join(project, 'node_modules'))
  await symlink(package_.package_, join(project, 'node_modules', 'switchyard-ml'))
})
afterAll(async () => {
  await package_?.remove()
  await rm(project, { recursive: true, force: true })
})

describe('a bundle for the browser', () => {
  it.each(['engine', 'model', 'text', 'browser'])('of switchyard-ml/%s contains no Node module', async name => {
    const made = await bundle(`export * from 'switchyard-ml/${name}'`, project)
    expect(foreignTo(made)).toEqual([])
    console.log(`switchyard-ml/${name}: ${sizesOf(made)}`)
  })

  it('of the root, which is for Node, is recognised', async () => {
    const foreign = foreignTo(await bundle(`export * from 'switchyard-ml'`, project))
    expect(foreign).toContain('node:fs/promises')
    expect(foreign.some(path => path.includes('onnxruntime-node'))).toBe(true)
  })

  it('leaves out modules that are not imported', async () => {
    const size = async (text: string): Promise<number> => (await bundle(text, project)).files.get('main.js')!.length
    const vocabulary = await size(`import { ByteVocabulary } from 'switchyard-ml/browser'; console.log(ByteVocabulary)`)
    expect(vocabulary).toBeLessThan((await size(`export * from 'switchyard-ml/browser'`)) / 3)
  })
})

it('onnxruntime-web and onnxruntime-node are of one version, with one onnxruntime-common', async () => {
  const versionOf = async (path: string): Promise<string> =>
    (JSON.parse(await readFile(path, 'utf8')) as { version: string }).version
  const [node, web] = await Promise.all(
    ['onnxruntime-node', 'onnxruntime-web'].map(async name => {
      const folder = join(repository, 'node_modules', name)
      const common = createRequire(join(folder, 'package.json')).resolve('onnxruntime-common')
      return [await versionOf(join(folder, 'package.json')), await versionOf(join(common, '../../../package.json'))]
    }),
  )
  expect(web).toEqual(node)
})

const executable = findChromium()
if (!executable) {
  const reason = 'no chromium on PATH or in the usual places (Debian: apt-get install chromium)'
  console.log(`The tests in the browser are skipped: ${reason}`)
  // .ci/run sets this once it has installed chromium.
  if (process.env.REQUIRE_CHROMIUM) throw new Error(`REQUIRE_CHROMIUM is set, and there is ${reason}`)
}

describe.skipIf(!executable)('in chromium, on onnxruntime-web', () => {
  const wasm = join(dirname(require.resolve('onnxruntime-web/wasm')), 'ort-wasm-simd-threaded.wasm')
  let browser: Browser
  let server: Awaited<ReturnType<typeof startServer>>
  /** The paths that the server was asked for. */
  const asked: string[] = []
  beforeAll(async () => {
    await mkdir(join(project, 'www'))
    await mkdir(join(project, 'www/model'))
    await writeFile(join(project, 'www/index.html'), '<!doctype html><link rel="icon" href="data:," />')
    const serve = serveFiles(path => {
      asked.push(path)
      if (path.endsWith('.wasm')) return wasm
      if (path.startsWith('/switch-tiny/')) return join(repository, 'test/fixtures', path)
      if (path === '/model/spiece.model') return join(repository, 'assets/t5-vocab/spiece.model')
      return join(project, 'www', path === '/' ? 'index.html' : path)
    })
    server = await startServer(serve)
    browser = await chromium.launch({ executablePath: executable, args: ['--no-sandbox'] })
  })
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  /** A page that runs the program `text`, with its output and its errors. */
  async function open(text: string): Promise<{ page: Page; printed: string[] }> {
    for (const [name, script] of (await bundle(text, project)).files)
      await writeFile(join(project, 'www', name), script)
    const page = await browser.newPage()
    const printed: string[] = []
    page.on('console', message => printed.push(message.text()))
    page.on('pageerror', error => printed.push(String(error)))
    await page.goto(server.url)
    await page.addScriptTag({ url: '/main.js', type: 'module' })
    return { page, printed }
  }

  describe('a program returns the same as in Node:', () => {
    let page: Page
    let printed: string[]
    beforeAll(async () => {
      const text = await readFile(join(repository, 'test/browser/program.ts'), 'utf8')
      ;({ page, printed } = await open(`${text}\nObject.assign(globalThis, { programs, useSessions })`))
      const wasmUrl = `${server.url}/elsewhere/ort-wasm-simd-threaded.wasm`
      await page.evaluate(
        options => (globalThis as unknown as { useSessions: typeof useSessions }).useSessions(options),
        { threads: 1, wasmUrl },
      )
    })

    it.each(Object.keys(programs) as (keyof typeof programs)[])('%s', async name => {
      const folder = `${server.url}/switch-tiny`
      const expected = await programs[name](folder)
      const run = page.evaluate(
        ([key, url]) => (globalThis as unknown as { programs: typeof programs }).programs[key](url),
        [name, folder] as const,
      )
      const actual = await run.catch((error: unknown) => {
        throw new Error(`${String(error)}\n${printed.join('\n')}`)
      })
      expect(actual).toHaveLength(expected.length)
      expect(expected.some(x => x !== 0)).toBe(true)
      const largest = Math.max(...expected.map((x, i) => Math.abs(x - actual[i])))
      console.log(`${name}: ${expected.length} numbers, the largest difference is ${largest}`)
      expect(largest).toBeLessThanOrEqual(1e-5)
    })

    it('on the WebAssembly file that the settings name', () => {
      expect(asked.filter(path => path.endsWith('.wasm'))).toEqual(['/elsewhere/ort-wasm-simd-threaded.wasm'])
    })
  })

  it("runs the README's program", async () => {
    const model = {
      ...baseModel,
      dModel: 8,
      dFf: 16,
      numHeads: 2,
      headDim: 4,
      numEncoderLayers: 2,
      numDecoderLayers: 2,
    }
    await rm(join(project, 'www/model'), { recursive: true })
    await writeHfWeights(join(project, 'www/model'), newWeights('new', { ...model, numExperts: 2 }, baseRouter, 0))
    const readme = await readFile(join(repository, 'README.md'), 'utf8')
    const [, text] = /^## In the browser\n[\s\S]*?^```typescript\n([\s\S]*?)^```$/m.exec(readme)!
    const { page, printed } = await open(text)
    await expect.poll(() => printed.length, { timeout: 600_000 }).toBeGreaterThan(0)
    expect(printed).toEqual([expect.stringMatching(/^the answer:/)])
    await page.close()
  })
})
