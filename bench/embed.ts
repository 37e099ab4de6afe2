/**
 * Times vectors of texts against sentence-transformers on the same random weights (T5's small encoder), in turns on one
 * machine. The texts are sentences of Brown; tokenizing is part of the time.
 */
import { readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/format.js'
import { writeHfWeights } from '../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../src/checkpoint/weights.js'
import { SentencePieceVocabulary } from '../src/text/sentencepiece.js'
import { preset } from '../src/model/presets.js'
import { brownSentences } from './brown.js'
import { at, checkMachine, python } from './peers.js'
import { Contestant } from './protocol.js'
import { median, relativeDifference } from './results.js'

interface Embedded {
  seconds: number
  cpuSeconds: number
  vectors: number[][]
  peakRssBytes: number
}

const { values: options } = parseArgs({
  options: { texts: { type: 'string', default: '1,512' }, turns: { type: 'string', default: '5' } },
})
const withPeer = checkMachine()
const counts = options.texts.split(',').map(Number)
const texts = brownSentences(Math.max(...counts))
const vocabulary = SentencePieceVocabulary.fromModel(readFileSync('assets/t5-vocab/spiece.model'))
const scratch = await mkdtemp(join(tmpdir(), 'switchyard-bench-'))
const racers: Contestant[] = []
try {
  const [folder, file] = [join(scratch, 't5-small'), join(scratch, 'texts.json')]
  const { model, router } = preset('t5-1.0-small')
  const encoder = { ...model, numDecoderLayers: 0, dtype: 'float32' } as const
  await writeHfWeights(folder, newWeights('t5-small', encoder, router, 0))
  await copyFile('assets/t5-vocab/spiece.model', join(folder, 'spiece.model'))
  await writeFile(file, JSON.stringify(texts))
  const enter = async (name: string, command: string, program: string): Promise<void> => {
    racers.push((await Contestant.start(name, command, [program, folder, file])).contestant)
  }
  if (withPeer) await enter('sentence-transformers', python, at('peers/st_embed.py'))
  await enter('switchyard', process.execPath, fileURLToPath(new URL('switchyard-embed.js', import.meta.url)))
  const rows = [['', 'texts', 'tokens', 'time', 'tokens/s', '/ peer', 'CPU', '/ peer', 'peak', 'difference']]
  for (const count of counts) {
    const tokens = texts.slice(0, count).reduce((sum, text) => sum + vocabulary.encode(text).length + 1, 0)
    const results = racers.map((): Embedded[] => [])
    for (let turn = -1; turn < Number(options.turns); turn++)
      for (const [i, racer] of racers.entries()) {
        const result = await racer.ask<Embedded>(`embed ${count}`)
        if (turn >= 0) results[i].push(result)
      }
    const seconds = results.map(turns => median(turns.map(turn => turn.seconds)))
    const cpu = results.map(turns => median(turns.map(turn => turn.cpuSeconds)))
    for (const [i, { name }] of racers.entries())
      rows.push([
        name,
        String(count),
        String(tokens),
        `${(1000 * seconds[i]).toFixed(1)} ms`,
        (tokens / seconds[i]).toFixed(0),
        i > 0 ? (seconds[i] / seconds[0]).toFixed(2) : '',
        `${(1000 * cpu[i]).toFixed(1)} ms`,
        i > 0 ? (cpu[i] / cpu[0]).toFixed(2) : '',
        `${(results[i].at(-1)!.peakRssBytes / 1e6).toFixed(0)} MB`,
        i > 0 ? relativeDifference(results[i][0].vectors, results[0][0].vectors).toExponential(1) : '',
      ])
  }
  console.log(`load average ${loadavg()[0].toFixed(1)}\n${formatTable(rows)}`)
} finally {
  for (const racer of racers) await racer.quit()
  await rm(scratch, { recursive: true, force: true })
}
