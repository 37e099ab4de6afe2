/**
 * Measures a model whose experts are read when tokens meet them: tokens/s cold and warm, hit rates, bytes for each
 * token, and the time that the disk alone would take. `--answer FILE` also writes the first answer with its most
 * probable tokens, for peers/paged_logits.py.
 */
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatBytes } from '../src/base/format.js'
import { byteSize } from '../src/cli/shared/byte-size.js'
import type { RoutedPass } from '../src/infer/expert-choices.js'
import { TextGenerator } from '../src/infer/text-generator.js'
import { openTextModel } from '../src/open/text-model.js'
import { openWeights } from '../src/open/open-weights.js'
import { checkMachine } from './peers.js'

const TEXTS = [
  'The <extra_id_0> walks in <extra_id_1> park and looks at the old trees along the river.',
  'translate English to German: The house at the end of the street is for sale.',
  'A trillion parameters lie on a disk, and <extra_id_0> of them are read for a token.',
  'summarize: Experts are read when tokens meet them, so a small machine can run a large model.',
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    memory: { type: 'string', default: '1GB,2GB,4GB' },
    tokens: { type: 'string', default: '32' },
    texts: { type: 'string', default: String(TEXTS.length) },
    text: { type: 'string' },
    answer: { type: 'string' },
    resident: { type: 'boolean', default: false },
  },
})
const [model] = positionals
if (model === undefined) throw new Error('give the folder of a model')
const newTokens = Number(values.tokens)
const texts = values.text === undefined ? TEXTS.slice(0, Number(values.texts)) : [values.text]

/** Empties the operating system's cache of files, so that reads come from the disk. Needs to be root. */
async function emptyFileCache(): Promise<boolean> {
  try {
    const file = await open('/proc/sys/vm/drop_caches', 'w')
    await file.writeFile('3')
    await file.close()
    return true
  } catch {
    return false
  }
}

/** Bytes a second of reading the largest file of the model from the disk, one piece after the other. */
async function readSpeed(): Promise<number> {
  const files = readdirSync(model).map(name => ({ path: join(model, name), size: statSync(join(model, name)).size }))
  const [largest] = files.sort((a, b) => b.size - a.size)
  await emptyFileCache()
  const file = await open(largest.path)
  const piece = new Uint8Array(8 * 2 ** 20)
  const total = Math.min(largest.size, 2 ** 31)
  const begin = performance.now()
  for (let at = 0; at < total; at += piece.length) await file.read(piece, 0, piece.length, at)
  const seconds = (performance.now() - begin) / 1000
  await file.close()
  return total / seconds
}

/**
 * Answers the texts one after the other, with tokens drawn by a seed. Returns seconds, tokens and what paging has cost
 * meanwhile.
 */
async function answer(
  generator: TextGenerator,
  seed: number,
): Promise<{
  seconds: number
  tokens: number
  hits: number
  misses: number
  bytes: number
  waited: number
}> {
  const counts = (): { hits: number; misses: number; bytes: number; waited: number } => {
    const stacks = generator.statistics().paging?.stacks ?? []
    const sum = (of: 'hits' | 'misses' | 'bytes' | 'waited'): number => stacks.reduce((n, stack) => n + stack[of], 0)
    return { hits: sum('hits'), misses: sum('misses'), bytes: sum('bytes'), waited: sum('waited') }
  }
  const before = counts()
  const begin = performance.now()
  let tokens = 0
  for (const text of texts) {
    // Sampled, so that phases differ. Models with random weights repeat themselves all the same, and meet few experts.
    const limits = { maxNewTokens: newTokens, minNewTokens: newTokens }
    const [{ tokens: ids }] = await generator.answer(text, { ...limits, topK: 0, temperature: 1, seed })
    tokens += ids.length
  }
  const seconds = (performance.now() - begin) / 1000
  const after = counts()
  return {
    seconds,
    tokens,
    hits: after.hits - before.hits,
    misses: after.misses - before.misses,
    bytes: after.bytes - before.bytes,
    waited: after.waited - before.waited,
  }
}

async function writeAnswer(generator: TextGenerator, passes: RoutedPass[], path: string): Promise<void> {
  passes.length = 0
  const input = generator.tokenize(texts[0], 'input').map(({ id }) => id)
  const tokens = []
  for await (const piece of generator.pieces(input, {
    maxNewTokens: newTokens,
    minNewTokens: newTokens,
    logProbabilities: 20,
  }))
    tokens.push(...piece.tokens)
  const weights = await openWeights(model)
  const source = await weights.experts!()
  writeFileSync(
    path,
    JSON.stringify({
      input,
      output: tokens.map(({ id }) => id),
      steps: tokens.slice(0, 8).map(({ top }) => ({
        tokens: top!.map(({ id }) => id),
        logprobs: top!.map(({ logProbability }) => logProbability),
      })),
      // The expert of each token, for each sparse layer of the encoder and of the decoder.
      routing: { encoder: routingOf('encoder', passes), decoder: routingOf('decoder', passes) },
      stacks: source.stacks.map(stack => ({ ...stack, checksums: undefined })),
    }),
  )
  await source.close()
  await weights.close()
}

/** The experts that tokens met, layer by layer: those of all passes of a stack, in order. */
function routingOf(stack: RoutedPass['stack'], passes: readonly RoutedPass[]): number[][] {
  const own = passes.filter(pass => pass.stack === stack)
  return (own[0]?.experts ?? []).map((_, layer) => own.flatMap(({ experts }) => experts[layer]))
}

checkMachine()
const canEmpty = await emptyFileCache()
if (!canEmpty) console.log('the cache of files cannot be emptied (not root): cold figures are of files in memory')
const speed = await readSpeed()
console.log(`the disk reads ${formatBytes(speed)} a second, in order`)

for (const memory of values.resident ? [undefined] : values.memory.split(',')) {
  await emptyFileCache()
  const begin = performance.now()
  const opened = await openTextModel(model, {
    ...(memory !== undefined && { expertsMemory: byteSize(memory) }),
    maxNewTokens: newTokens,
    onNotice: () => undefined,
  })
  const passes: RoutedPass[] = []
  const onPass = (pass: RoutedPass): void => void passes.push(pass)
  const generator = new TextGenerator(opened, values.answer === undefined ? {} : { onPass })
  await generator.prepare()
  console.log(`${memory ?? 'resident'}: ready after ${((performance.now() - begin) / 1000).toFixed(1)} s`)
  // Other tokens with experts in memory, then the same once more.
  for (const [phase, seed] of [
    ['cold', 1],
    ['warm', 2],
    ['the same', 2],
  ] as const) {
    const { seconds, tokens, hits, misses, bytes, waited } = await answer(generator, seed)
    console.log(
      [
        `  ${phase.padEnd(10)} ${(tokens / seconds).toFixed(2)} tokens/s (${seconds.toFixed(1)} s)`,
        `hits ${((100 * hits) / Math.max(1, hits + misses)).toFixed(1)}%`,
        `${misses} experts read`,
        `${formatBytes(bytes / tokens)} a token`,
        `waited ${(waited / 1000).toFixed(1)} s`,
        `the disk's floor ${(bytes / speed).toFixed(1)} s`,
      ].join(', '),
    )
  }
  if (values.answer !== undefined) await writeAnswer(generator, passes, values.answer)
  console.log(`  peak memory ${formatBytes(process.resourceUsage().maxRSS * 1024)}`)
  await generator.close()
}
