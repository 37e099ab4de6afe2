import { join } from 'node:path'
import { ConfigError, FileError, SwitchyardError } from '../../base/errors.js'
import { formatCount, formatTable } from '../../base/format.js'
import { exists } from '../../checkpoint/atomic.js'
import { didYouMeanPath } from '../../data/sources/similar-path.js'
import { isFile, readSmallText } from '../../checkpoint/files.js'
import { parseJson } from '../../checkpoint/json.js'
import { native } from '../../checkpoint/native.js'
import { latestCheckpoint, runsFolder } from '../../checkpoint/run-folder.js'
import { isPeftAdapter } from '../../checkpoint/names/peft-read.js'
import { t5x } from '../../checkpoint/t5x/t5x.js'
import { openWeights } from '../../open/open-weights.js'
import type { OpenedWeights } from '../../open/open-weights.js'
import { parsePartialModel } from '../../config/partial.js'
import { readParameters } from '../../checkpoint/weights.js'
import { declareParameters } from '../../model/parameters.js'
import type { Row } from '../../verify/compare.js'
import { verifyGeneration } from '../../verify/generation.js'
import { loadHfFolder, verifyFolder } from '../../verify/hf-folder.js'
import type { HfModel } from '../../verify/hf-folder.js'
import { verifyT5x } from '../../verify/t5x.js'
import { Exit } from '../shared/exit.js'
import { findFolder, findShipped, isOnHub } from '../shared/find-folder.js'

export interface VerifyOptions {
  params?: string
  cases?: string
  weights?: string
  config?: string
  set: string[]
  tolerance?: number
  json?: boolean
  /** Of models of the hub. */
  revision?: string
}

/** What was compared: a folder, or the file of a T5X case. */
interface Verified {
  readonly name: string
  readonly rows: readonly Row[]
  /** Why nothing could be compared. */
  readonly error?: string
}

/**
 * Compares models with their references: of one it prints the difference of every tensor, of several the largest
 * difference each. Exits with code 1 if a difference exceeds the tolerance, or if a folder could not be compared.
 */
export async function verify(folders: readonly string[], options: VerifyOptions): Promise<void> {
  const { params, cases, config, set, json = false } = options
  const verified: Verified[] = []
  if (folders.length === 0) verified.push({ name: cases ?? '', rows: await verifyFiles(options) })
  else {
    if (params !== undefined || cases !== undefined || config !== undefined || set.length > 0)
      throw new ConfigError('a folder holds its own configuration, parameters and cases: leave the other options out')
    if (folders.length > 1 && options.weights !== undefined)
      throw new ConfigError('--weights replaces the weights of one folder: give one folder')
    const width = Math.max(...folders.map(folder => folder.length))
    for (const folder of folders) {
      const one = folders.length === 1 ? await verifyOneFolder(folder, options) : await verifyOneOfMany(folder, options)
      verified.push(one)
      if (!json) console.log(folders.length === 1 ? formatRows(one.rows) : formatLine(one, width))
    }
  }
  const rows = verified.flatMap(one => one.rows)
  const wrong = rows.filter(row => !row.ok).length
  const failed = verified.filter(one => one.error !== undefined).length
  if (json) console.log(JSON.stringify(verified, null, 2))
  else {
    if (folders.length === 0) console.log(formatRows(rows))
    console.log(
      `\n${formatCount(rows.length)} tensors compared, ${wrong === 0 ? 'all within the tolerance' : `${formatCount(wrong)} past the tolerance`}${failed > 0 ? `; ${formatCount(failed)} of ${formatCount(folders.length)} models could not be compared` : ''}`,
    )
  }
  if (wrong + failed > 0) throw new Exit(1)
}

async function verifyFiles({ params, cases, weights, config, set, tolerance }: VerifyOptions): Promise<Row[]> {
  if (params === undefined || cases === undefined || weights !== undefined)
    throw new ConfigError('give a folder, or both --params and --cases')
  const value = config === undefined ? {} : await readJson(config)
  return verifyT5x({ params, cases, ...parsePartialModel(value, set, config ?? 'the configuration'), tolerance })
}

/** The files of recorded values. */
const recorded = ['cases.safetensors', 'generation.json']

/** The folder of a model that comes with Switchyard, of one of the hub, or of a path. */
const folderOf = async (name: string, revision?: string): Promise<string> =>
  (await findShipped(name)) ?? ((await isOnHub(name)) ? findFolder(name, revision, recorded) : name)

/** As `verifyOneFolder`, with an error as a part of the result, so that further folders are compared all the same. */
async function verifyOneOfMany(folder: string, options: VerifyOptions): Promise<Verified> {
  try {
    return await verifyOneFolder(folder, options)
  } catch (error) {
    if (!(error instanceof SwitchyardError)) throw error
    return { name: folder, rows: [], error: error.message }
  }
}

async function verifyOneFolder(name: string, { weights, tolerance, revision }: VerifyOptions): Promise<Verified> {
  const path = await folderOf(name, revision)
  if (!(await exists(path)))
    throw new FileError(
      `${path}: there is no such folder; ${await didYouMeanPath(path, 'a folder of weights with cases.safetensors was expected', [runsFolder])}`,
    )
  if (await isFile(path))
    throw new FileError(`${path}: this is a file; a folder of weights with cases.safetensors was expected`)
  if ((await native.detect(path)) || (await latestCheckpoint(path)) !== undefined) {
    throw new FileError(
      `${name}: these weights are in Switchyard's format and have no reference values: give a folder with cases.safetensors and --weights ${name}, or score a run with switchyard eval`,
    )
  }
  const own = (await isPeftAdapter(path)) ? await readModel(path) : await loadHfFolder(path)
  const tested = weights === undefined ? own : await readTested(weights, own)
  // The recorded gradients are those of the original weights, so they say nothing about converted or quantized ones.
  const rows = await verifyFolder(path, { tolerance, tested, withGradients: weights === undefined })
  const generation = (await exists(join(path, 'generation.json')))
    ? await verifyGeneration(path, { tolerance, own, tested })
    : []
  return { name, rows: [...rows, ...generation] }
}

/** Reads a model of any format, an adapter of PEFT merged into its base. `check` may refuse it before it is read. */
async function readModel(path: string, check?: (weights: OpenedWeights) => void): Promise<OpenedWeights & HfModel> {
  const opened = await openWeights(path, { onNotice: message => console.error(message) })
  try {
    check?.(opened)
    return { ...opened, params: await readParameters(opened, 'float32') }
  } finally {
    await opened.close()
  }
}

/**
 * Reads the model of `--weights`, to be computed by its own configuration with HF's meaning, as the recorded values
 * were. A T5X checkpoint has no configuration, so it is computed by the folder's. Throws a ConfigError unless the
 * parameters have the names and shapes of the folder's.
 */
async function readTested(name: string, own: HfModel): Promise<HfModel> {
  const path = await folderOf(name)
  const { container, model, router, params } = await readModel(path, ({ specs }) => {
    const [expected, actual] = [declareParameters(own.model, own.router), specs].map(listed =>
      listed.map(spec => `${spec.path} [${spec.shape}]`),
    )
    const other = expected.find((text, i) => text !== actual[i]) ?? actual[expected.length]
    if (other !== undefined)
      throw new ConfigError(`${path}: these are the weights of a different model: only one of the two has ${other}`)
  })
  if (container !== t5x.name)
    return { model: { ...model, reference: 'hf', customMeaning: undefined, dtype: 'float32' }, router, params }
  console.error(
    `${path}: a T5X checkpoint holds no configuration, so its parameters are tested with that of the folder`,
  )
  return { ...own, params }
}

async function readJson(path: string): Promise<unknown> {
  return parseJson(
    await readSmallText(path, 2 ** 20),
    message => new FileError(`${path}: this is not JSON, ${message}`),
  )
}

const formatRows = (rows: readonly Row[]): string =>
  formatTable([
    ['tensor', 'absolute', 'relative', ''],
    ...rows.map(({ tensor, maxAbsolute, maxRelative, ok }) => [
      tensor,
      maxAbsolute.toExponential(1),
      maxRelative.toExponential(1),
      ok ? 'ok' : 'DIFFERS',
    ]),
  ])

/** A line about one of several folders: its largest difference. */
function formatLine({ name, rows, error }: Verified, width: number): string {
  const start = name.padEnd(width)
  if (error !== undefined) return `${start}  NOT COMPARED: ${error.replace(`${name}: `, '')}`
  const largest = rows.reduce((a, b) => (b.maxRelative > a.maxRelative ? b : a))
  const wrong = rows.filter(row => !row.ok)
  const verdict = wrong.length === 0 ? 'ok' : `DIFFERS in ${listSome(wrong.map(row => row.tensor))}`
  return `${start}  ${String(rows.length).padStart(4)} ${rows.length === 1 ? 'tensor ' : 'tensors'}  ${largest.maxRelative.toExponential(1)}  ${largest.tensor}  ${verdict}`
}

const listSome = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
