import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileError } from '../base/errors.js'
import { bytesOf, reader } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { CheckpointReader } from '../checkpoint/format.js'
import { loadCheckpoint } from '../checkpoint/native.js'
import type { Checkpoint } from '../checkpoint/native.js'
import { listCheckpoints } from '../checkpoint/run-folder.js'
import type { Task } from '../data/task.js'
import { environmentWarning } from './checkpointing.js'
import type { RunConfig } from './config.js'
import { currentJob } from './job/job.js'
import { isOfMachine } from './metrics-log.js'
import { readRecords } from './read-metrics.js'
import type { MetricsRecord } from './metrics-log.js'
import type { Progress } from './reporter.js'
import { Trainer } from './trainer.js'
import type { TrainerValues } from './values.js'

/** What `proveResume` has compared. */
export interface Proof {
  /** The steps of the checkpoint that training resumed from and of the one that it was compared with. */
  readonly from: number
  readonly to: number
  readonly tensors: number
  readonly bytes: number
  readonly records: number
  /** A sentence for each thing that differs; empty if all is equal bit for bit. */
  readonly differences: readonly string[]
}

export interface ProofOptions {
  /** Called once, before training, with the steps and the run's task. */
  onStart?: (from: number, to: number, task: Task) => void
  onProgress?: (progress: Progress) => void
  /** Receives a warning if this machine or backend is not the one that trained the run. */
  onNotice?: (message: string) => void
  signal?: AbortSignal
  /** The values that the run's program supplied. */
  values?: TrainerValues
}

/**
 * Proves that resuming a run is exact: trains from its second to last checkpoint to the step of its latest one, in a
 * scratch folder, and compares every tensor, every record and the position of the data with the run's own. A run with
 * one checkpoint is trained from the beginning. The run is only read. Undefined if the signal was aborted. Throws a
 * FileError if the run has no checkpoint, or is a fine-tuning run with a single one. All processes of a job call this.
 */
export async function proveResume(
  run: string,
  parseConfig: (config: unknown) => RunConfig,
  options: ProofOptions = {},
): Promise<Proof | undefined> {
  const [latest, previous] = (await listCheckpoints(run)).reverse()
  if (latest === undefined) throw new FileError(`${run}: there is no checkpoint of Switchyard in this folder`)
  const job = currentJob()
  const scratch = await job.fromFirst(() => mkdtemp(join(tmpdir(), 'switchyard-proof-')))
  const opened: Checkpoint[] = []
  const open = async (folder: string): Promise<Checkpoint> => {
    const checkpoint = await loadCheckpoint(folder)
    opened.push(checkpoint)
    return checkpoint
  }
  try {
    const start = previous && (await open(previous.path))
    const expected = await open(latest.path)
    const config = parseConfig(expected.config)
    if (start === undefined && config.from !== null)
      throw new FileError(
        `${run}: this run began with the weights of a model, so a proof needs two checkpoints, one to resume from and one to compare with, and it has that of step ${expected.step} alone: go on with it to a later step, with train.keep=2 or more`,
      )
    const warning = await environmentWarning(expected)
    if (warning !== undefined) options.onNotice?.(`warning: ${warning}`)
    const from = start?.step ?? 0
    if (!(await trainAgain(config, start, expected.step, scratch, options))) return undefined
    return await job.fromFirst(async () =>
      compare(run, scratch, from, expected, await open(join(scratch, `step-${expected.step}`))),
    )
  } finally {
    for (const checkpoint of opened) await checkpoint.close()
    if (job.isFirst) await rm(scratch, { recursive: true, force: true })
  }
}

/** Trains from a checkpoint, or from the beginning, to a step. False if the signal was aborted before. */
async function trainAgain(
  whole: RunConfig,
  start: Checkpoint | undefined,
  step: number,
  scratch: string,
  { values, onStart, onProgress, signal }: ProofOptions,
): Promise<boolean> {
  // The schedule depends on the steps of the whole run, so they stay, and training is stopped after the last one that
  // is compared. Its checkpoint is the only one that is due.
  const train = {
    ...whole.train,
    checkpointEvery: step,
    keepEvery: null,
    keep: Number.MAX_SAFE_INTEGER,
    asyncSave: false,
  }
  const config = { ...whole, train }
  const trainer =
    start === undefined ? await Trainer.begin(config, values) : await Trainer.resume(config, start, values)
  onStart?.(start?.step ?? 0, step, trainer.task)
  const end = new AbortController()
  await trainer.run(scratch, {
    signal: signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]),
    onProgress: progress => {
      if (progress.step >= step) end.abort()
      else onProgress?.(progress)
    },
  })
  return end.signal.aborted
}

async function compare(
  run: string,
  scratch: string,
  from: number,
  expected: Checkpoint,
  actual: Checkpoint,
): Promise<Proof> {
  const differences: string[] = []
  let [tensors, bytes] = [0, 0]
  for (const part of ['params', 'optimizer', 'state'] as const) {
    const compared = await compareTensors(expected[part], actual[part])
    tensors += compared.tensors
    bytes += compared.bytes
    differences.push(...compared.differences.map(difference => `${part}: ${difference}`))
  }
  for (const field of ['data', 'best', 'seed'] as const)
    if (JSON.stringify(expected[field]) !== JSON.stringify(actual[field]))
      differences.push(`${field} is ${JSON.stringify(actual[field])}, and was ${JSON.stringify(expected[field])}`)
  const isCompared = ({ step }: MetricsRecord): boolean => step > from && step <= expected.step
  const [before, now] = await Promise.all(
    [run, scratch].map(async folder => (await readRecords(folder)).filter(isCompared)),
  )
  differences.push(...compareRecords(before, now))
  return { from, to: expected.step, tensors, bytes, records: before.length, differences }
}

async function compareTensors(
  expected: CheckpointReader | undefined,
  actual: CheckpointReader | undefined,
): Promise<{ tensors: number; bytes: number; differences: string[] }> {
  const differences: string[] = []
  const names = new Set([expected, actual].flatMap(part => part?.list().map(({ name }) => name) ?? []))
  const has = (part: CheckpointReader | undefined, name: string): boolean =>
    part?.list().some(info => info.name === name) ?? false
  let bytes = 0
  for (const name of names) {
    if (!has(expected, name) || !has(actual, name)) {
      differences.push(`${name} is in one of the checkpoints only`)
      continue
    }
    const [before, now] = [await expected!.read(name), await actual!.read(name)]
    bytes += bytesOf(before).byteLength
    const difference = tensorDifference(before, now)
    if (difference !== undefined) differences.push(`${name} ${difference}`)
  }
  return { tensors: names.size, bytes, differences }
}

/** How a tensor differs; undefined if all bits are equal. */
function tensorDifference(before: HostTensor, now: HostTensor): string | undefined {
  if (before.dtype !== now.dtype || before.shape.join() !== now.shape.join())
    return `is ${now.dtype}[${now.shape}], and was ${before.dtype}[${before.shape}]`
  if (Buffer.compare(bytesOf(before), bytesOf(now)) === 0) return undefined
  const [a, b] = [reader(before.dtype, before.data), reader(now.dtype, now.data)]
  const different = Array.from({ length: before.data.length }, (_, i) => i).filter(i => !Object.is(a(i), b(i)))
  const [first] = different
  return `differs in ${different.length} of ${before.data.length} elements; the first, number ${first}, is ${b(first)}, and was ${a(first)}`
}

/** How the records differ, apart from the figures that measure the machine. */
function compareRecords(before: readonly MetricsRecord[], now: readonly MetricsRecord[]): string[] {
  if (before.length !== now.length) return [`there are ${now.length} records, and there were ${before.length}`]
  return before.flatMap((record, i) =>
    [...new Set([...Object.keys(record), ...Object.keys(now[i])])]
      .filter(name => !isOfMachine(name) && JSON.stringify(record[name]) !== JSON.stringify(now[i][name]))
      .map(
        name =>
          `${name} of step ${record.step} is ${JSON.stringify(now[i][name])}, and was ${JSON.stringify(record[name])}`,
      ),
  )
}
