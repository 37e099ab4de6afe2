import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ConfigError, SwitchyardError } from '../../base/errors.js'
import { ModelNotReadyError, UnknownModelError } from './model-errors.js'
import type { ModelSource, ModelWatch } from './model-source.js'
import { ModelRegistry } from './registry.js'
import type { GenerateEvent, ModelFacts, ServedModel } from './served-model.js'

/** A model whose answers end when `finish` is called. */
class Held implements ServedModel {
  readonly facts: ModelFacts
  isClosed = false
  finish!: () => void
  private readonly finished = new Promise<void>(resolve => (this.finish = resolve))

  constructor({ name, path }: ModelSource) {
    this.facts = {
      name,
      path,
      created: 0,
      parameters: 1,
      answers: true,
      dimension: null,
      maxInputTokens: 8,
      longestToken: 8,
      maxNewTokens: 8,
      experts: { encoder: [], decoder: [] },
    }
  }

  async *generate(): AsyncGenerator<GenerateEvent> {
    await this.finished
    if (this.isClosed) throw new SwitchyardError('closed')
    yield { kind: 'piece', index: 0, text: this.facts.path, tokens: [], finish: 'stop' }
  }

  score = (): never => unused()
  embed = (): never => unused()
  detokenize = (): never => unused()
  statistics = (): never => unused()
  tokenize = (): Promise<never[]> => Promise.resolve([])

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }
}

function unused(): never {
  throw new Error('not used here')
}

/** A registry whose models are opened by the test. */
function registry(): { models: ModelRegistry; notices: string[]; opened: Opened[] } {
  const [notices, opened]: [string[], Opened[]] = [[], []]
  const models = new ModelRegistry(
    (source, watch) => new Promise((resolve, reject) => opened.push({ source, watch, resolve, reject })),
    (name, message) => notices.push(`${name}: ${message}`),
  )
  return { models, notices, opened }
}

interface Opened {
  readonly source: ModelSource
  readonly watch: ModelWatch
  resolve(model: ServedModel): void
  reject(error: Error): void
}

async function answer(model: ServedModel): Promise<string> {
  let text = ''
  for await (const event of model.generate({ input: '', options: {} }, new AbortController().signal))
    if (event.kind === 'piece') text += event.text
  return text
}

const first: ModelSource = { name: 'spell', path: 'runs/spell' }
const second: ModelSource = { name: 'spell', path: 'runs/spell-2' }

/** A registry in which `first` answers. */
async function loaded(): Promise<ReturnType<typeof registry> & { model: Held }> {
  const made = registry()
  const loading = made.models.load(first)
  const model = new Held(first)
  made.opened[0].resolve(model)
  await loading
  return { ...made, model }
}

describe('a model of the registry', () => {
  it('is loading, then ready', async () => {
    const { models, opened } = registry()
    const loading = models.load(first)
    expect(models.statuses).toEqual([{ ...first, state: 'loading' }])
    expect(() => models.get('spell')).toThrow(ModelNotReadyError)
    opened[0].resolve(new Held(first))
    await loading
    expect(models.statuses).toEqual([{ ...first, state: 'ready' }])
    expect(models.get('spell').facts.path).toBe('runs/spell')
  })

  it('says why it could not be loaded, and can be loaded again', async () => {
    const { models, opened } = registry()
    const loading = models.load(first)
    opened[0].reject(new SwitchyardError('no such file'))
    await expect(loading).rejects.toThrow('no such file')
    expect(models.statuses).toEqual([{ ...first, state: 'failed', error: 'no such file' }])
    expect(() => models.get('spell')).toThrow(
      new ModelNotReadyError('the model spell could not be loaded: no such file'),
    )
    const again = models.load(first)
    expect(models.statuses).toEqual([{ ...first, state: 'loading' }])
    opened[1].resolve(new Held(first))
    await again
    expect(models.statuses).toEqual([{ ...first, state: 'ready' }])
  })

  it('is forgotten if it could not be added', async () => {
    const { models, opened } = await loaded()
    const loading = models.load({ name: 'more', path: 'runs/more' }, { forgetFailure: true })
    expect(models.statuses).toHaveLength(2)
    opened[1].reject(new SwitchyardError('no such file'))
    await expect(loading).rejects.toThrow('no such file')
    expect(models.statuses).toEqual([{ ...first, state: 'ready' }])
    expect(() => models.get('more')).toThrow(UnknownModelError)
  })

  it('is not found by another name, which gets the nearest name or all of them', async () => {
    const { models } = await loaded()
    expect(() => models.get('spel')).toThrow(new UnknownModelError('there is no model "spel"; did you mean spell?'))
    expect(() => models.get('gpt-4o')).toThrow('there is no model "gpt-4o"; this server has spell')
    expect(() => models.get('__proto__')).toThrow(UnknownModelError)
  })

  it('is restarting while its process is started again', async () => {
    const { models, opened } = await loaded()
    opened[0].watch.onAvailable(false)
    opened[0].watch.onNotice('its process hung', 'warn')
    expect(models.statuses).toEqual([{ ...first, state: 'restarting', error: 'its process hung' }])
    expect(models.get('spell').facts.path).toBe('runs/spell') // requests wait in the model
    opened[0].watch.onAvailable(true)
    expect(models.statuses).toEqual([{ ...first, state: 'ready' }])
  })

  it('is replaced: requests that run end with the old version, new ones go to the new', async () => {
    const { models, opened, notices, model: old } = await loaded()
    const served = models.get('spell')
    const running = answer(served)
    const loading = models.load(second)
    expect(models.statuses).toEqual([{ ...first, state: 'ready', next: 'runs/spell-2' }])
    const alsoOld = answer(served)
    const next = new Held(second)
    opened[1].resolve(next)
    await loading
    expect(models.statuses).toEqual([{ ...second, state: 'ready' }])
    const fresh = answer(served)
    next.finish()
    expect(await fresh).toBe('runs/spell-2')
    expect(old.isClosed).toBe(false)
    old.finish()
    expect(await Promise.all([running, alsoOld])).toEqual(['runs/spell', 'runs/spell'])
    await setImmediate()
    expect(old.isClosed).toBe(true)
    expect(next.isClosed).toBe(false)
    expect(notices).toEqual(['spell: the version before has answered its last request and is closed'])
    opened[0].watch.onAvailable(false) // the closed version's process has ended
    expect(models.statuses).toEqual([{ ...second, state: 'ready' }])
  })

  it('stays if the new version cannot be loaded, and says why', async () => {
    const { models, opened, model } = await loaded()
    const loading = models.load(second)
    opened[1].reject(new SwitchyardError('too little memory'))
    await expect(loading).rejects.toThrow('too little memory')
    expect(models.statuses).toEqual([{ ...first, state: 'ready', error: 'too little memory' }])
    model.finish()
    expect(await answer(models.get('spell'))).toBe('runs/spell')
  })

  it('is loaded once at a time', async () => {
    const { models } = await loaded()
    void models.load(second)
    const refused = 'the model spell is being loaded from runs/spell-2: load another version after that'
    await expect(models.load(first)).rejects.toThrow(new ConfigError(refused))
  })

  it('is closed with the registry, in all its versions; one that is still opened is closed, too', async () => {
    const { models, opened, model: old } = await loaded()
    const running = answer(models.get('spell'))
    const loading = models.load(second)
    const next = new Held(second)
    opened[1].resolve(next)
    await loading
    const late = models.load({ name: 'late', path: 'runs/late' })
    await models.close()
    expect([old.isClosed, next.isClosed]).toEqual([true, true])
    expect(opened[2].watch.signal.aborted).toBe(true)
    const model = new Held({ name: 'late', path: 'runs/late' })
    opened[2].resolve(model)
    await expect(late).rejects.toThrow('the server stops')
    expect(model.isClosed).toBe(true)
    old.finish()
    await expect(running).rejects.toThrow('closed')
  })
})
