import { join } from 'node:path'
import { ConfigError, FileError } from '../../base/errors.js'
import { formatCount, formatTable } from '../../base/format.js'
import { exists } from '../../checkpoint/atomic.js'
import { didYouMeanPath } from '../../data/sources/similar-path.js'
import { readSmallText } from '../../checkpoint/files.js'
import { parseJson } from '../../checkpoint/json.js'
import { native } from '../../checkpoint/native.js'
import { latestCheckpoint, runsFolder } from '../../checkpoint/run-folder.js'
import { openWeights } from '../../open/open-weights.js'
import { parsePartialModel } from '../../config/partial.js'
import { readParameters } from '../../checkpoint/weights.js'
import { declareParameters } from '../../model/parameters.js'
import type { ModelParams } from '../../model/types.js'
import type { Row } from '../../verify/compare.js'
import { verifyGeneration } from '../../verify/generation.js'
import { loadHfFolder, verifyFolder } from '../../verify/hf-folder.js'
import type { HfModel } from '../../verify/hf-folder.js'
import { verifyT5x } from '../../verify/t5x.js'
import { Exit } from '../shared/exit.js'

export interface VerifyOptions {
  params?: string
  cases?: string
  weights?: string
  config?: string
  set: string[]
  tolerance?: number
}

/**
 * Compares a model with its reference and prints the difference of every tensor. Exits with code 1 if one exceeds the
 * tolerance.
 */
export async function verify(
  folder: string | undefined,
  { params, cases, weights, config, set, tolerance }: VerifyOptions,
): Promise<void> {
  const rows = folder === undefined ? await verifyFiles() : await verifyOneFolder(folder)
  console.log(formatRows(rows))
  const wrong = rows.filter(row => !row.ok).length
  console.log(
    `\n${formatCount(rows.length)} tensors compared, ${wrong === 0 ? 'all within the tolerance' : `${formatCount(wrong)} past the tolerance`}`,
  )
  if (wrong > 0) throw new Exit(1)

  async function verifyFiles(): Promise<Row[]> {
    if (params === undefined || cases === undefined || weights !== undefined)
      throw new ConfigError('give a folder, or both --params and --cases')
    const value = config === undefined ? {} : await readJson(config)
    return verifyT5x({ params, cases, ...parsePartialModel(value, set, config ?? 'the configuration'), tolerance })
  }

  async function verifyOneFolder(path: string): Promise<Row[]> {
    if (params !== undefined || cases !== undefined || config !== undefined || set.length > 0) {
      throw new ConfigError('a folder holds its own configuration, parameters and cases: leave the other options out')
    }
    if (!(await exists(path)))
      throw new FileError(
        `${path}: there is no such folder; ${await didYouMeanPath(path, 'a folder of weights with cases.safetensors was expected', [runsFolder])}`,
      )
    if ((await native.detect(path)) || (await latestCheckpoint(path)) !== undefined) {
      throw new FileError(
        `${path}: these weights are in Switchyard's format and have no reference values: give a folder with cases.safetensors and --weights ${path}, or score a run with switchyard eval`,
      )
    }
    const model = await loadHfFolder(path)
    const tested = weights === undefined ? model : { ...model, params: await paramsFrom(weights, model) }
    const compared = await verifyFolder(path, tolerance, tested)
    // The reference gradients are those of the original weights, so they say nothing about converted or quantized ones.
    const shown = weights === undefined ? compared : compared.filter(({ tensor }) => !tensor.startsWith('grad.'))
    return (await exists(join(path, 'generation.json')))
      ? [...shown, ...(await verifyGeneration(path, tested, tolerance))]
      : shown
  }
}

/** Reads the parameters of `--weights`. Throws a ConfigError unless they have the names and shapes of the model's. */
async function paramsFrom(path: string, { model, router }: HfModel): Promise<ModelParams> {
  const weights = await openWeights(path)
  try {
    const [expected, actual] = [declareParameters(model, router), weights.specs].map(specs =>
      specs.map(spec => `${spec.path} [${spec.shape}]`),
    )
    const other = expected.find((text, i) => text !== actual[i]) ?? actual[expected.length]
    if (other !== undefined)
      throw new ConfigError(`${path}: these are the weights of a different model: only one of the two has ${other}`)
    return await readParameters(weights, 'float32')
  } finally {
    await weights.close()
  }
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
