/**
 * A contestant of `npm run bench:serve`: answers completions over HTTP in closed batches. Requests wait until the batch
 * before them is done; every row of a batch is computed until its longest answer has ended. Everything else is as in
 * `switchyard serve`: the engine, and greedy search that reads the most probable tokens only. Argument: a folder.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { greedySearch, needsLogits } from '../src/infer/search.js'
import type { NextTokens, Search } from '../src/infer/search.js'
import { TextGenerator } from '../src/infer/text-generator.js'
import { openTextModel } from '../src/open/text-model.js'
import { serve } from './protocol.js'

interface Waiting {
  prompt: number[]
  max_tokens: number
  response: ServerResponse
}
/** How many answers of a batch have not ended. */
interface Batch {
  open: number
}

const MOST_ROWS = 32
const [folder] = process.argv.slice(2)
const generator = new TextGenerator(await openTextModel(folder))
const waiting: Waiting[] = []
let isRunning = false

const server = createServer((request, response) => void take(request, response))
server.listen(0, '127.0.0.1')
await once(server, 'listening')

async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { prompt, max_tokens } = (await json(request)) as Omit<Waiting, 'response'>
  waiting.push({ prompt, max_tokens, response })
  if (isRunning) return
  isRunning = true
  // Requests that arrive at the same time start together.
  await new Promise(resolve => setTimeout(resolve, 5))
  while (waiting.length > 0) {
    const taken = waiting.splice(0, MOST_ROWS)
    const batch: Batch = { open: taken.length }
    await Promise.all(taken.map(one => answer(one, batch)))
  }
  isRunning = false
}

async function answer({ prompt, max_tokens, response }: Waiting, batch: Batch): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const send = (text: string): void => {
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, text, finish_reason: null }] })}\n\n`)
  }
  const search = (options: Parameters<typeof greedySearch>[0]): Search =>
    inClosedBatch(greedySearch({ ...options, maxNewTokens: max_tokens }), batch, () => response.end('data: [DONE]\n\n'))
  for await (const { text, tokens } of generator.pieces(prompt, { search }))
    if (tokens.length > 0 && !response.writableEnded) send(text)
}

/** A search that keeps its row until all answers of its batch have ended. */
function inClosedBatch(search: Search, batch: Batch, onEnd: () => void): Search {
  let hasEnded = false
  const padding: NextTokens = { tokens: [0], parents: null }
  const after = (choice: () => NextTokens | null): NextTokens | null => {
    if (!hasEnded) {
      const next = choice()
      if (next !== null) return next
      hasEnded = true
      batch.open--
      // The last piece is read first.
      setImmediate(onEnd)
    }
    return batch.open > 0 ? padding : null
  }
  return {
    rows: 1,
    get needsLogits() {
      return !hasEnded && needsLogits(search)
    },
    next: logits => after(() => search.next(logits)),
    nextOfBest: best => after(() => search.nextOfBest!(best)),
    answers: () => search.answers(),
  }
}

const { port } = server.address() as AddressInfo
await serve({ name: 'closed batches', url: `http://127.0.0.1:${port}` }, {})
process.exit()
