/** The page: a model, an input, options; the answer as it is generated. index.html loads this file. */
import { Answers } from './answers.js'
import { complete, listModels } from './api.js'
import type { Model } from './api.js'
import { byId, element } from './dom.js'

/** How many probable tokens a tooltip names. */
const TOP = 5

const form = byId<HTMLFormElement>('form')
const key = byId<HTMLInputElement>('key')
const select = byId<HTMLSelectElement>('model')
const prompt = byId<HTMLTextAreaElement>('prompt')
const status = byId('status')
let models: readonly Model[] = []
let running: AbortController | null = null

async function showModels(): Promise<void> {
  try {
    models = await listModels(key.value)
    select.replaceChildren(...models.map(({ id }) => element('option', { value: id }, id)))
    showAbout()
    say('')
  } catch (error) {
    say(messageOf(error), true)
  }
}

function showAbout(): void {
  const model = models.find(({ id }) => id === select.value)
  if (!model) return
  const { encoder, decoder } = model.experts
  const sparse = encoder.length + decoder.length
  byId('about').textContent =
    `${model.parameters.toLocaleString('en')} parameters` +
    (sparse > 0 ? `, ${sparse} sparse layers of ${Math.max(...encoder, ...decoder)} experts` : ', dense')
}

/** The options that are filled in: numbers as numbers. */
function optionsOf(): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  new FormData(form).forEach((value, name) => {
    if (value !== '') options[name] = name === 'stop' ? value : Number(value)
  })
  return options
}

async function answer(): Promise<void> {
  running?.abort()
  const own = (running = new AbortController())
  setRunning(true)
  const answers = new Answers()
  const start = performance.now()
  let first = NaN
  let tokens = 0
  say('waiting')
  try {
    const request = { model: select.value, prompt: prompt.value, logprobs: TOP, return_experts: true, ...optionsOf() }
    for await (const chunk of complete(request, key.value, own.signal)) {
      if (Number.isNaN(first) && chunk.choices.length > 0) first = performance.now() - start
      answers.add(chunk)
      tokens = chunk.usage?.completion_tokens ?? tokens
    }
    const seconds = (performance.now() - start) / 1000
    say(
      `${tokens} tokens in ${seconds.toFixed(2)} s; the first after ${first.toFixed(0)} ms; ${(tokens / seconds).toFixed(0)} tokens/s`,
    )
  } catch (error) {
    if (own.signal.aborted) say('stopped')
    else say(messageOf(error), true)
  } finally {
    answers.showExperts()
    if (running === own) {
      running = null
      setRunning(false)
    }
  }
}

function setRunning(is: boolean): void {
  byId<HTMLButtonElement>('stop').disabled = !is
  document.body.toggleAttribute('data-running', is)
}

function say(text: string, isError = false): void {
  status.textContent = text
  status.classList.toggle('error', isError)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

form.addEventListener('submit', event => {
  event.preventDefault()
  void answer()
})
prompt.addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  form.requestSubmit()
})
byId('stop').addEventListener('click', () => running?.abort())
select.addEventListener('change', showAbout)
key.addEventListener('change', () => void showModels())
void showModels()
