import { formatCount } from '../../base/format.js'
import type { InputsOptions } from '../../data/pairs/inputs.js'
import { unknownIn } from '../../data/tokenizers/coverage.js'
import type { EmbedOptions, TextEmbedder } from '../../infer/embed/text-embedder.js'
import { openEmbedder } from '../../open/embedding-model.js'
import type { EmbedderOptions } from '../../open/embedding-model.js'
import { watchPredictions } from '../shared/progress.js'
import { escapeControls } from '../shared/texts.js'
import { findModelValues } from '../shared/model-values.js'
import { jsonLine, numbersLine, shortLine, similarityLines } from './lines.js'
import type { Embedded } from './lines.js'
import { openTexts } from './texts-to-embed.js'
import { writeVectors } from './vector-file.js'

export interface EmbedRequest {
  readonly opening: EmbedderOptions
  readonly embedding: EmbedOptions
  readonly output: EmbedOutput
}

interface EmbedOutput {
  readonly json: boolean
  /** The file to write. Default: the standard output. */
  readonly out?: string
  /** Print how alike the texts are instead of their vectors. */
  readonly similarity: boolean
}

/**
 * Embeds texts (the given ones, those in a file, or by default the lines of the standard input), and prints or writes
 * their vectors.
 */
export async function embedTexts(
  path: string,
  source: readonly string[] | InputsOptions,
  { opening, embedding, output }: EmbedRequest,
): Promise<void> {
  const onNotice = (message: string): void => console.error(message)
  const embedder = await openEmbedder(path, { ...opening, findValues: findModelValues, onNotice })
  embedder.promptText(embedding.prompt) // An unknown prompt is refused before texts are read.
  const { windows, count, close } = await openTexts(path, source)
  try {
    const run = (onProgress?: (done: number) => void): Promise<number | undefined> =>
      print(embedAll(embedder, windows, embedding, onProgress), embedder, output)
    const written =
      count === undefined || (output.out === undefined && process.stdout.isTTY)
        ? await run()
        : await watchPredictions(
            'texts',
            async onProgress => {
              onProgress(0, count)
              return run(done => onProgress(done, count))
            },
            'embedded',
          )
    if (written !== undefined) console.error(`${formatCount(written)} vectors in ${output.out}`)
  } finally {
    close()
    await embedder.close()
  }
}

/** The texts with their vectors, in order. */
async function* embedAll(
  embedder: TextEmbedder,
  windows: AsyncIterable<readonly string[]>,
  options: EmbedOptions,
  onProgress?: (done: number) => void,
): AsyncGenerator<Embedded> {
  const warn = unknownWarning(embedder)
  let before = 0
  for await (const texts of windows) {
    texts.forEach(warn)
    const vectors = await embedder.embed(texts, options, done => onProgress?.(before + done))
    before += texts.length
    for (const [i, text] of texts.entries()) yield { text, vector: vectors[i] }
  }
}

/** Warns of the first text with symbols that are not in the vocabulary. */
function unknownWarning({ model: { codec } }: TextEmbedder): (text: string) => void {
  let hasWarned = false
  return text => {
    if (hasWarned) return
    const unknown = unknownIn(codec.inputs, codec.prepare(text))
    if (unknown.length === 0) return
    hasWarned = true
    const symbols = unknown.map(symbol => `"${escapeControls(symbol)}"`).join(', ')
    console.error(
      `warning: ${escapeControls(text)}: the model has never seen ${symbols}; further such texts are not named`,
    )
  }
}

/** Prints vectors, or writes them to a file. Resolves to the number of vectors in the file, if there is one. */
async function print(
  items: AsyncIterable<Embedded>,
  embedder: TextEmbedder,
  { out, similarity, json }: EmbedOutput,
): Promise<number | undefined> {
  if (out !== undefined) return writeVectors(out, items, embedder.dimension)
  if (similarity) {
    const all: Embedded[] = []
    for await (const item of items) all.push(item)
    const measure = (a: Float32Array, b: Float32Array): number => embedder.similarity(a, b)
    console.log(similarityLines(all, measure, json))
    return undefined
  }
  const line = json ? jsonLine : process.stdout.isTTY ? shortLine : numbersLine
  for await (const item of items) console.log(line(item))
  return undefined
}
