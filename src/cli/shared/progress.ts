import { Presets, SingleBar } from 'cli-progress'
import { formatCount, formatDuration } from '../../base/format.js'
import { formatFigure, formatPercent } from '../../metrics/metric.js'
import type { Metric } from '../../metrics/metric.js'
import type { Progress } from '../../train/reporter.js'
import { secondsCompiling, showCompilingBy } from './compiling.js'

/** Seconds between two progress lines, if the output is not a terminal. */
const lineEvery = 5

/**
 * Shows a run's progress: a bar in a terminal, otherwise a line every few seconds. `unit` names the examples ("words").
 * `metrics` say how the figures of validations are written.
 */
export function showProgress(
  steps: number,
  unit: string,
  metrics: readonly Metric[] = [],
): { show: (progress: Progress) => void; stop: () => void } {
  return process.stdout.isTTY ? progressBar(steps, unit, metrics) : progressLines(unit, metrics)
}

function progressBar(steps: number, unit: string, metrics: readonly Metric[]): ReturnType<typeof showProgress> {
  const bar = new SingleBar(
    {
      format: '{bar} step {value}/{total}  {figures}',
      stream: process.stdout,
      hideCursor: true,
      gracefulExit: false,
      barsize: 20,
    },
    Presets.shades_classic,
  )
  let started = false
  const newRow = validationRows(metrics)
  const draw = (payload: object, step?: number): void => {
    if (!started) bar.start(steps, step ?? 0, payload)
    else if (step === undefined) bar.update(payload)
    else bar.update(step, payload)
    started = true
  }
  const stopWatching = showCompilingBy(() => draw({ figures: 'compiling' }))
  return {
    show: progress => {
      const row = newRow(progress)
      // The bar's line is erased; the bar is drawn again below the row.
      if (row !== undefined) process.stdout.write(`\r\x1b[K${row}\n`)
      draw({ figures: figures(progress, progress.shareDropped, unit) }, progress.step)
    },
    stop: () => {
      stopWatching()
      bar.stop()
    },
  }
}

function progressLines(unit: string, metrics: readonly Metric[]): ReturnType<typeof showProgress> {
  let last = -Infinity
  let dropped: number[] = []
  const newRow = validationRows(metrics)
  return {
    show: progress => {
      const row = newRow(progress)
      if (row !== undefined) console.log(row)
      if (progress.shareDropped !== undefined) dropped.push(progress.shareDropped)
      const now = performance.now() / 1000
      if (now - last < lineEvery && progress.step < progress.steps) return
      last = now
      const mean = dropped.length > 0 ? dropped.reduce((a, b) => a + b) / dropped.length : undefined
      console.log(`step ${progress.step}/${progress.steps}  ${figures(progress, mean, unit)}`)
      dropped = []
    },
    stop: () => undefined,
  }
}

/**
 * Runs `predict`, and shows on the standard error how many of the examples it has answered. The standard output is
 * reserved for the answers. `verb` says what is done with an example instead.
 */
export async function watchPredictions<T>(
  unit: string,
  predict: (onProgress: (done: number, count: number) => void) => Promise<T>,
  verb = 'answered',
): Promise<T> {
  const { show, stop } = process.stderr.isTTY ? predictionBar(unit, verb) : predictionLines(unit, verb)
  try {
    return await predict(show)
  } finally {
    stop()
  }
}

interface Predictions {
  show: (done: number, count: number) => void
  stop: () => void
}

/** A progress bar on the standard error that is erased at the end. */
export const erasedBar = (format: string): SingleBar =>
  new SingleBar(
    { format, stream: process.stderr, hideCursor: true, gracefulExit: false, clearOnComplete: true, barsize: 20 },
    Presets.shades_classic,
  )

/**
 * The time that the remaining examples will take, at the speed so far without compilation: `12s left`. Empty before the
 * first, and in the first second, whose speed tells little.
 */
function timeLeft(): (done: number, count: number) => string {
  let began: { at: number; done: number } | undefined
  return (done, count) => {
    const at = performance.now() / 1000 - secondsCompiling()
    began ??= { at, done }
    const [seconds, answered] = [at - began.at, done - began.done]
    return answered > 0 && seconds >= 1 ? `  ${formatDuration((seconds / answered) * (count - done))} left` : ''
  }
}

function predictionBar(unit: string, verb: string): Predictions {
  const bar = erasedBar(`{bar} {value}/{total} ${unit} ${verb}{left}`)
  const left = timeLeft()
  let stopWatching: (() => void) | undefined
  return {
    show: (done, count) => {
      const payload = { left: left(done, count) }
      if (done > 0) bar.update(done, payload)
      else {
        bar.start(count, 0, payload)
        stopWatching = showCompilingBy(() => bar.update({ left: '  compiling' }))
      }
    },
    stop: () => {
      stopWatching?.()
      bar.stop()
    },
  }
}

function predictionLines(unit: string, verb: string): Predictions {
  let last = performance.now() / 1000
  const left = timeLeft()
  return {
    show: (done, count) => {
      const now = performance.now() / 1000
      const remaining = left(done, count)
      if (now - last < lineEvery) return
      last = now
      console.error(`${formatCount(done)} of ${formatCount(count)} ${unit} ${verb}${remaining}`)
    },
    stop: () => undefined,
  }
}

/** A row for each new validation, with the figures in columns; undefined if there is no new one. */
function validationRows([metric]: readonly Metric[]): (progress: Progress) => string | undefined {
  let shown = -1
  return ({ validation }) => {
    if (validation === undefined || validation.step === shown) return undefined
    shown = validation.step
    const { step, loss, accuracy, metric: figure } = validation
    return [
      `validation at step ${String(step).padStart(6)}`,
      `loss ${loss.toFixed(4)}`,
      `tokens right ${formatPercent(accuracy).padStart(6)}`,
      ...(figure ? [`${figure.name} ${metric?.format(figure.value, figure.name) ?? formatFigure(figure.value)}`] : []),
    ].join('  ')
  }
}

/** The figures of a step in a line. `dropped` is the share of tokens that were dropped since the last line. */
function figures({ loss, pace }: Progress, dropped: number | undefined, unit: string): string {
  return [
    `loss ${loss.toFixed(3)}`,
    ...(pace === undefined
      ? []
      : [
          `${formatCount(Math.round(pace.examplesPerSecond))} ${unit}/s`,
          `${formatCount(Math.round(pace.tokensPerSecond))} tokens/s`,
        ]),
    ...(dropped === undefined ? [] : [`${formatPercent(dropped)} dropped`]),
    ...(pace === undefined ? [] : [`${formatDuration(pace.secondsLeft)} left`]),
  ].join('  ')
}
