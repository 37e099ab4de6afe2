/**
 * Answers with a model in a Hugging Face folder, paged from its files and then from a hub on this machine that serves
 * them in ranges. Both answers must be equal, and the hub must send no more than headers, what is dense and the experts
 * that the tokens met.
 */
import { createHash } from 'node:crypto'
import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { dtypes } from '../src/base/dtypes.js'
import { formatBytes, formatDuration } from '../src/base/format.js'
import { sizeOf } from '../src/base/host-tensor.js'
import { fetchModel } from '../src/checkpoint/hub/fetch-model.js'
import { byteSize } from '../src/cli/shared/byte-size.js'
import { TextGenerator } from '../src/infer/text-generator.js'
import { openWeights } from '../src/open/open-weights.js'
import { openTextModel } from '../src/open/text-model.js'

const REPO = 'local/model'
const COMMIT = 'c'.repeat(40)
/** What may be fetched beside tensors: the headers at both ends of each file of weights. */
const HEADER_BYTES = 2 ** 18

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { memory: { type: 'string', default: '1GB' }, tokens: { type: 'string', default: '32' } },
})
const [folder, text = 'The <extra_id_0> walks in <extra_id_1> park and looks at the old trees along the river.'] =
  positionals
if (folder === undefined) throw new Error('give a Hugging Face folder')

interface File {
  readonly path: string
  readonly size: number
  readonly etag: string
  readonly isWeights: boolean
}

/** Files of weights are told apart by their names and sizes: hashing many gigabytes would take minutes. */
const files = new Map(
  readdirSync(folder).map((name): [string, File] => {
    const path = join(folder, name)
    const { size } = statSync(path)
    const isWeights = /\.(safetensors|bin)$/.test(name)
    const content = isWeights ? `${name} ${size}` : readFileSync(path)
    return [name, { path, size, isWeights, etag: createHash('sha256').update(content).digest('hex') }]
  }),
)
let sent = 0

function answerAsHub({ url = '', headers }: IncomingMessage, response: ServerResponse): void {
  const json = (value: unknown): void => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  if (url.includes('/revision/'))
    return json({ _id: '0', id: REPO, sha: COMMIT, private: false, gated: false, downloads: 0, likes: 0, lastModified: '2024-01-01T00:00:00.000Z' }) // prettier-ignore
  if (url.includes('/tree/'))
    return json(
      Array.from(files, ([path, { size, etag }]) => ({
        type: 'file',
        path,
        size,
        oid: etag.slice(0, 40),
        lfs: { oid: etag, size, pointerSize: 130 },
      })),
    )
  const file = files.get(decodeURIComponent(url.split('/').pop()!))
  if (!file) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end()
  const [, begin = '0', last = `${file.size - 1}`] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  const [start, end] = [Number(begin), Number(last)]
  if (file.isWeights) sent += end - start + 1
  response.writeHead(headers.range ? 206 : 200, {
    etag: `"${file.etag}"`,
    'content-length': end - start + 1,
    ...(headers.range && { 'content-range': `bytes ${start}-${end}/${file.size}` }),
  })
  createReadStream(file.path, { start, end }).pipe(response)
}

/** Answers the text, paged. Returns the tokens, how long it took, and the experts that were met: `0 17` */
async function answer(path: string): Promise<{ tokens: readonly number[]; seconds: number; met: Set<string> }> {
  const met = new Set<string>()
  const maxNewTokens = Number(values.tokens)
  const begin = performance.now()
  const model = await openTextModel(path, {
    expertsMemory: byteSize(values.memory),
    maxNewTokens,
    onNotice: notice => console.log(notice),
  })
  const generator = new TextGenerator(model, {
    onPass: ({ stack, experts }) => {
      for (const [layer, chosen] of experts.entries())
        for (const expert of chosen) if (expert >= 0) met.add(`${stack} ${layer} ${expert}`)
    },
  })
  const [{ tokens }] = await generator.answer(text, { maxNewTokens, minNewTokens: maxNewTokens })
  await generator.close()
  return { tokens, seconds: (performance.now() - begin) / 1000, met }
}

const hub = createServer(answerAsHub).listen(0, '127.0.0.1')
await new Promise(resolve => hub.once('listening', resolve))
const cache = mkdtempSync(join(tmpdir(), 'switchyard-bench-hub-'))
process.env.HF_ENDPOINT = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`
process.env.HF_HUB_CACHE = cache
try {
  const local = await answer(folder)
  const left = await fetchModel(REPO, { leaveWeights: true })
  const remote = await answer(left)
  const first = sent
  const again = await answer(left)

  const weights = await openWeights(folder)
  const source = await weights.experts!()
  // A table of embeddings may be stored more than once; it is fetched as often as the file has it.
  const dense = weights.specs.reduce(
    (sum, { role, dtype, shape }) => sum + (role === 'expertKernel' ? 0 : dtypes[dtype].bytes * sizeOf(shape)),
    0,
  )
  const experts = local.met.size * source.stacks[0].bytes
  const headers = HEADER_BYTES * [...files.values()].filter(file => file.isWeights).length
  await source.close()
  await weights.close()

  const isEqual = [remote, again].every(({ tokens }) => tokens.join() === local.tokens.join())
  console.log(`the answers ${isEqual ? 'are equal' : 'DIFFER'}: ${local.tokens.join(' ')}`)
  console.log(`from the folder ${formatDuration(local.seconds)}, from the hub ${formatDuration(remote.seconds)}, from its cache ${formatDuration(again.seconds)}`) // prettier-ignore
  console.log(`dense ${formatBytes(dense)} + ${local.met.size} experts met ${formatBytes(experts)} + headers at most ${formatBytes(headers)} = ${formatBytes(dense + experts + headers)}`) // prettier-ignore
  console.log(
    `the hub sent ${formatBytes(first)} of weights, and ${formatBytes(sent - first)} for the same answer again`,
  )
  if (!isEqual || first > dense + experts + headers || sent > first) process.exitCode = 1
} finally {
  hub.close()
  hub.closeAllConnections()
  rmSync(cache, { recursive: true })
}
