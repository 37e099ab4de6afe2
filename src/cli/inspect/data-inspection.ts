import { ConfigError } from '../../base/errors.js'
import { countOf, formatCount, formatTable } from '../../base/format.js'
import { seriesColors } from '../../base/svg/element.js'
import { histograms } from '../../base/svg/histogram.js'
import { overrideConfig } from '../../config/overrides.js'
import { fittedConfig } from '../../config/fitted-config.js'
import type { TokenExample } from '../../data/features.js'
import { datasetOf, spreadExamples } from '../../data/dataset.js'
import { lengthsOf, MEASURED, quantile } from '../../data/inspection/lengths.js'
import type { MeasuredLengths } from '../../data/inspection/lengths.js'
import { packingOf } from '../../data/inspection/packing.js'
import type { Fields, FieldValue } from '../../data/preprocessor.js'
import { leafTasks } from '../../data/mixture.js'
import { splitNames } from '../../data/example.js'
import type { Task, TaskMember } from '../../data/task.js'
import { taskNotes } from '../../data/task-notes.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { coverageOf } from '../../data/tokenizers/coverage.js'
import { TokenTexts } from '../../infer/token-texts.js'
import type { TokenText } from '../../infer/token-texts.js'
import { byteName } from '../../text/tokenizer-json/byte-fallback.js'
import type { RunConfig } from '../../train/config.js'
import { pairsFromOptions } from '../shared/pairs-from-options.js'
import type { DataOptions } from '../shared/data-options.js'
import { checkOverrides } from '../shared/early-checks.js'
import { findRun } from '../shared/find-run.js'
import { checkPictureFile, writeOutput } from '../shared/output-file.js'
import { countExamples } from '../shared/report.js'
import { escapeControls } from '../shared/texts.js'
import { findUserValues } from '../shared/user-config.js'

export interface InspectDataOptions extends DataOptions {
  set: string[]
  plot?: string
}

/** So many training examples are shown at each stage. */
const SHOWN = 2
/** A value longer than this is cut. */
const SHOWN_CHARACTERS = 160
/** So many of a side's tokens are shown. */
const SHOWN_TOKENS = 24

/** Prints a task's data through every stage, lengths, packing and unknown symbols; draws the lengths with --plot. */
export async function inspectData(name: string | undefined, options: InspectDataOptions): Promise<void> {
  if (options.plot !== undefined) checkPictureFile('--plot', options.plot)
  const { task, config } = await taskAndConfig(name, options)
  const { seed, inputLength, targetLength } = config.train
  const lengths = { inputs: inputLength, targets: targetLength }
  for (const note of taskNotes(task)) console.log(note)
  console.log(task.members ? partsText(task.name, task.members, lengths) : countsText(task, lengths))
  for (const leaf of leafTasks(task)) {
    console.log(leaf === task ? '' : `\n${leaf.name}`)
    for (const stage of leaf.stages?.('train', { seed, lengths }) ?? []) {
      console.log(`${stage.name}:`)
      for (const example of spreadExamples(stage.examples, SHOWN)) console.log(`    ${fieldsText(example)}`)
    }
  }
  const examples = spreadExamples(task.tokens('train', { seed, lengths }), MEASURED)
  console.log('tokens:')
  for (const example of examples.slice(0, SHOWN)) console.log(tokensText(task, example))
  const measured = lengthsOf(examples)
  console.log(`\n${lengthsTable(measured)}\n`)
  console.log(packingText(task, config))
  for (const leaf of leafTasks(task)) console.log(unknownText(leaf, leaf === task ? '' : `${leaf.name}: `))
  if (options.plot !== undefined) await plotLengths(options.plot, task, config, measured)
}

async function taskAndConfig(
  name: string | undefined,
  options: InspectDataOptions,
): Promise<{ task: Task; config: RunConfig }> {
  const { data, set } = options
  if ((name === undefined) === (data === undefined))
    throw new ConfigError(
      `give a task, such as g2p, or --data with a file of your own${data === undefined ? '' : ', not both'}`,
    )
  if (data !== undefined) {
    const { settings, others } = pairsFromOptions(data, options, set)
    checkOverrides(others)
    const task = await pairsTask(settings)
    return { task, config: overrideConfig(fittedConfig(task), others) }
  }
  const known = await findUserValues()
  if (known.isTask(name!)) checkOverrides(set)
  const run = await findRun(known, name!, 'data inspect')
  const config = overrideConfig(run.config, set)
  return { task: run.values.task ?? (await known.loadTask(config.task)), config }
}

/** `input: "...", target: "..."`, in one line. */
const fieldsText = (fields: Fields): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name}: ${cut(valueText(value))}`)
    .join(', ')

function valueText(value: FieldValue): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object') return String(value)
  if (ArrayBuffer.isView(value) || Array.isArray(value))
    return `[${Array.from(value as Iterable<FieldValue>, valueText).join(', ')}]`
  return `{ ${fieldsText(value as Fields)} }`
}

const cut = (text: string): string => {
  const line = escapeControls(text)
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}...` : line
}

/** The tokens of both sides: each token's own text, and the ids. */
function tokensText({ codec }: Task, example: TokenExample): string {
  return (['inputs', 'targets'] as const)
    .map(side => {
      const shown = Array.from(example[side].subarray(0, SHOWN_TOKENS))
      const more = example[side].length > shown.length ? ` ... (${example[side].length} tokens)` : ''
      const texts = new TokenTexts(codec[side])
      const line = shown.map(id => (id === codec[side].eosId ? '</s>' : tokenText(texts.tokenOf(id, true)))).join('|')
      return `    ${side}: ${line}${more}\n    ${' '.repeat(side.length + 2)}${shown.join(' ')}${more && ' ...'}`
    })
    .join('\n')
}

/** A token on one line: its text, or the bytes of one that is a part of a character: `<0xC3>`. */
const tokenText = ({ text, bytes }: TokenText): string => bytes?.map(byteName).join('') ?? escapeControls(text)

function lengthsTable({ inputs, targets }: MeasuredLengths): string {
  const row = (name: string, values: readonly number[]): string[] => [
    name,
    ...[0, 0.05, 0.5, 0.95, 0.99, 1].map(share => formatCount(quantile(values, share))),
    (values.reduce((a, b) => a + b, 0) / values.length).toFixed(1),
  ]
  const head = [
    `length in tokens (${countOf(inputs.length, 'example')})`,
    'shortest',
    '5%',
    'median',
    '95%',
    '99%',
    'longest',
    'mean',
  ]
  return formatTable([head, row('inputs', inputs), row('targets', targets)])
}

type Lengths = Readonly<Record<'inputs' | 'targets', number>>

/** The number of a task's examples in each split: of texts, or of token examples if it has no texts. */
const countsOf = (task: Task, lengths: Lengths): string[] =>
  splitNames.map(split => formatCount(task.split(split).length || task.tokens(split, { lengths }).length))

const countsText = (task: Task, lengths: Lengths): string =>
  `${task.name}: ${countsOf(task, lengths)
    .map((count, i) => `${count} ${splitNames[i]}`)
    .join(', ')}${mergedText(task)}`

/** Why there are fewer held-out examples than rows that are kept for them; empty if there are as many. */
function mergedText(task: Task): string {
  const merged = splitNames.flatMap(split => {
    const before = task.countBeforeMerge?.(split) ?? 0
    const after = task.split(split).length
    return before > after ? [`${formatCount(before)} ${split} rows have ${formatCount(after)} different inputs`] : []
  })
  return merged.length === 0
    ? ''
    : `\n${task.name}: ${merged.join(', ')}: each input is asked once, and all its targets are right answers`
}

/** The parts of a mixture: how often each is drawn, and its examples. */
function partsText(name: string, members: readonly TaskMember[], lengths: Lengths): string {
  const sum = members.reduce((all, { rate }) => all + rate, 0)
  const rows = members.map(({ task, rate }) => [
    task.name,
    String(Number(rate.toPrecision(6))),
    `${((100 * rate) / sum).toFixed(1)}%`,
    ...countsOf(task, lengths),
  ])
  const head = ['part', 'rate', 'share of draws', ...splitNames]
  const leaves = new Set(members.flatMap(({ task }) => leafTasks(task)))
  return `${name}: a mixture of ${members.length} tasks\n\n${formatTable([head, ...rows])}${Array.from(leaves, mergedText).join('')}`
}

function packingText(task: Task, { train }: RunConfig): string {
  const { rows, inputLength, targetLength, packing, buckets: count, seed } = train
  const { examplesPerRow, inputs, targets, tooLong, buckets } = packingOf(
    task,
    { rows, inputLength, targetLength, packing, buckets: count },
    seed,
  )
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`
  const full = `${rows} rows of ${inputLength} + ${targetLength} tokens: ${examplesPerRow.toFixed(1)} examples a row, ${percent(inputs)} of the input and ${percent(targets)} of the target tokens are not padding`
  const sized =
    buckets.length === 0
      ? full
      : `${full}; buckets of ${buckets.map(bucket => `${bucket.inputLength} + ${bucket.targetLength}`).join(', ')}`
  return tooLong === 0
    ? sized
    : `${sized}; ${countExamples(tooLong, task)} longer than a row are left out (train.inputLength, train.targetLength)`
}

/** Texts that hold symbols which the vocabularies do not have. Those of the training split are learned as unknown. */
function unknownText(task: Task, prefix: string): string {
  const rows = splitNames.flatMap(split => {
    const examples = spreadExamples(datasetOf(task.split(split)), MEASURED)
    if (examples.length === 0) return []
    return (['input', 'target'] as const).map(side => {
      const vocabulary = side === 'input' ? task.codec.inputs : task.codec.targets
      const { unknown, all, symbols } = coverageOf(
        vocabulary,
        examples.map(example => example[side]),
      )
      const shown = symbols.slice(0, 8).map(symbol => escapeControls(symbol))
      return [
        `${split} ${side}s`,
        formatCount(unknown),
        formatCount(all),
        `${((100 * unknown) / all).toFixed(1)}%`,
        shown.join(' '),
      ]
    })
  })
  return rows.length === 0
    ? ''
    : `\n${formatTable([[`${prefix}unknown to the vocabulary`, 'texts', 'of', 'share', 'such as'], ...rows])}`
}

async function plotLengths(file: string, task: Task, { train }: RunConfig, measured: MeasuredLengths): Promise<void> {
  const series = (['inputs', 'targets'] as const).map((side, i) => {
    const row = side === 'inputs' ? train.inputLength : train.targetLength
    return {
      title: `${task.name}: ${side}`,
      values: measured[side],
      color: seriesColors[i],
      mark: { at: row, text: `a row: ${row}` },
    }
  })
  await writeOutput(file, histograms(series, 'tokens'))
  console.log(`\nsaved ${file}`)
}
