import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningServer } from '../../src/serve.js'
import { Cli } from '../e2e/cli.js'
import { findChromium } from './chromium.js'

const executablePath = findChromium()

/** The page of a server of the model that comes with the package. */
describe.skipIf(!executablePath)("the server's page, in chromium", () => {
  let cli: Cli
  let server: RunningServer
  let browser: Browser
  let page: Page
  const errors: string[] = []
  const foreign: string[] = []
  beforeAll(async () => {
    cli = await Cli.create()
    const { serve } = (await import(
      pathToFileURL(join(cli.package_, 'dist/serve.js')).href
    )) as typeof import('../../src/serve.js')
    const models = [{ name: 'g2p', path: join(cli.package_, 'assets/models/g2p') }]
    server = await serve({ models, port: 0, logLevel: 'silent' })
    await server.ready
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    page = await browser.newPage({ viewport: { width: 900, height: 640 } })
    page.on('pageerror', error => errors.push(error.message))
    page.on('console', message => message.type() === 'error' && errors.push(message.text()))
    page.on('request', request => request.url().startsWith(server.url) || foreign.push(request.url()))
    await page.goto(server.url)
    await page.waitForSelector('#model option', { state: 'attached' })
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await server?.close()
    await cli?.remove()
  })

  /** Asks for an answer with the options that are filled in; resolves to the line below the input. */
  const ask = async (prompt: string, options: Record<string, string> = {}): Promise<string> => {
    await page.fill('#prompt', prompt)
    for (const [name, value] of Object.entries(options)) await page.fill(`[name=${name}]`, value)
    await page.press('#prompt', 'Enter')
    await page.waitForFunction(() => !document.body.hasAttribute('data-running'))
    for (const name of Object.keys(options)) await page.fill(`[name=${name}]`, '')
    return (await page.textContent('#status')) ?? ''
  }

  it('names the model', async () => {
    expect(await page.textContent('#about')).toBe('6,658,432 parameters, 2 sparse layers of 16 experts')
  })

  it('shows an answer as tokens with their probabilities, and the experts of both stacks', async () => {
    expect(await ask('switchyard')).toMatch(/^9 tokens in \S+ s; the first after \d+ ms; \d+ tokens\/s$/)
    expect(await page.textContent('.answer')).toBe('S W IH CH Y AA R D')
    expect(await page.getAttribute('.token:nth-child(2)', 'title')).toMatch(/^91\.\d%  ␣W\n\n91\.\d%  ␣W\n/)
    expect(await page.locator('#encoder tbody td').count()).toBe('switchyard'.length + 1)
    expect(await page.locator('#decoder tbody td').allTextContents()).toHaveLength(8)
    expect(await page.getAttribute('#decoder tbody td', 'title')).toMatch(/: expert \d+$/)
    const folder = join(tmpdir(), 'switchyard-screenshots')
    await mkdir(folder, { recursive: true })
    await page.screenshot({ path: join(folder, 'page.png') })
    console.log(`a picture of the server's page: ${join(folder, 'page.png')}`)
  })

  it('takes options: several answers, and their longest length', async () => {
    expect(await ask('read', { n: '3', seed: '1', max_tokens: '2' })).toMatch(/^6 tokens/)
    expect(await page.locator('.answer').count()).toBe(3)
    expect(await page.textContent('.answer')).toContain('(the most tokens)')
  })

  it('shows what is wrong, and goes on', async () => {
    expect(await ask('read', { max_tokens: '9999' })).toMatch(/max_tokens is 9999, and an answer of the model g2p has/)
    expect(await page.getAttribute('#status', 'class')).toContain('error')
    expect(await ask('read')).toContain('tokens/s')
  })

  it('shows text that looks like HTML as it is', async () => {
    await ask('<b onclick="x">read</b>')
    expect(await page.locator('#encoder b, #answers b').count()).toBe(0)
  })

  it('loads nothing from elsewhere, and reports no error', () => {
    expect(foreign).toEqual([])
    // The browser logs each answer with a status of 400 or more.
    expect(errors.filter(text => !text.includes('status of 400'))).toEqual([])
  })
})
