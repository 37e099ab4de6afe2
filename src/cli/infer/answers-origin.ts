import { readFile } from 'node:fs/promises'
import { ConfigError } from '../../base/errors.js'
import { writeFileAtomically } from '../../checkpoint/atomic.js'
import { errorCode, withPath } from '../../checkpoint/files.js'
import { folderDigest } from '../../checkpoint/folder-digest.js'

/** What a file of answers was made with: kept beside it, so that it is continued with the same only. */
export interface AnswersOrigin {
  /** The folder of the checkpoint or of the weights, for a person. */
  readonly model: string
  /** A hash of the weights' files: another checkpoint, or one that was trained on, has another. */
  readonly weights: string
  /** The options that change an answer, as they were given. */
  readonly options: Readonly<Record<string, unknown>>
}

/** The file beside a file of answers that holds their origin. */
const originPath = (out: string): string => `${out}.origin.json`

/** The origin of the answers in the file `out`, which may be in the model's folder. */
export const answersOrigin = async (
  out: string,
  model: string,
  options: Readonly<Record<string, unknown>>,
): Promise<AnswersOrigin> => ({
  model,
  weights: await folderDigest(model, [out, originPath(out)]),
  options: Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
})

/** Writes the origin of a file of answers that is begun. */
export async function writeAnswersOrigin(out: string, origin: AnswersOrigin): Promise<void> {
  const text = `${JSON.stringify(origin, null, 2)}\n`
  await writeFileAtomically(originPath(out), async handle => handle.writeFile(text), { replace: true })
}

/**
 * Throws a ConfigError, which says what differs and what to do, unless the answers in a file were made with the same
 * model and options.
 */
export async function checkAnswersOrigin(out: string, origin: AnswersOrigin): Promise<void> {
  const known = await readOrigin(out)
  const advice = `Give --out another file, or delete ${out} to answer all again`
  if (known === undefined)
    throw new ConfigError(
      `${out} holds answers, and there is no ${originPath(out)} that says which model and options made them. ${advice}`,
    )
  const differences = [
    ...(known.weights === origin.weights ? [] : [`the weights (${known.model}, now ${origin.model})`]),
    ...[...new Set([...Object.keys(known.options), ...Object.keys(origin.options)])]
      .map(name => ({ name, before: asText(known.options[name]), now: asText(origin.options[name]) }))
      .filter(({ before, now }) => before !== now)
      .map(({ name, before, now }) => `${name} (${before}, now ${now})`),
  ]
  if (differences.length > 0)
    throw new ConfigError(
      `${out} holds answers that were made with other settings: ${differences.join(', ')}. ${advice}`,
    )
}

const asText = (value: unknown): string => (value === undefined ? 'not given' : JSON.stringify(value))

/** Undefined if there is no such file, or it is broken. */
async function readOrigin(out: string): Promise<AnswersOrigin | undefined> {
  try {
    const { model, weights, options } = JSON.parse(
      await withPath(originPath(out), () => readFile(originPath(out), 'utf8')),
    ) as AnswersOrigin
    return typeof options === 'object' && options !== null ? { model, weights, options } : undefined
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || errorCode((error as Error).cause) === 'ENOENT')
      return undefined
    throw error
  }
}
