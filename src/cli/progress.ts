import { Presets, SingleBar } from 'cli-progress'
import { formatCount, formatDuration } from '../base/format.js'
import type { Progress } from '../train/trainer.js'

/** Seconds between two lines where there is no terminal. */
const lineEvery = 5

/** One line that is always up to date on a terminal, and a new line every few seconds elsewhere. */
export function showProgress(steps: number, unit: string): { show: (progress: Progress) => void; stop: () => void } {
  return process.stdout.isTTY ? progressBar(steps, unit) : progressLines(unit)
}

function progressBar(steps: number, unit: string): ReturnType<typeof showProgress> {
  const bar = new SingleBar({ format: '{bar} step {value}/{total}  {figures}', stream: process.stdout, hideCursor: true, gracefulExit: false, barsize: 20 }, Presets.shades_classic)
  let started = false
  return {
    show: progress => {
      const payload = { figures: figures(progress, unit) }
      if (started) bar.update(progress.step, payload)
      else bar.start(steps, progress.step, payload)
      started = true
    },
    stop: () => bar.stop(),
  }
}

function progressLines(unit: string): ReturnType<typeof showProgress> {
  let last = -Infinity
  return {
    show: progress => {
      const now = performance.now() / 1000
      if (now - last < lineEvery && progress.step < progress.steps) return
      last = now
      console.log(`step ${progress.step}/${progress.steps}  ${figures(progress, unit)}`)
    },
    stop: () => undefined,
  }
}

function figures({ loss, examplesPerSecond, secondsLeft, record }: Progress, unit: string): string {
  const dropped = record?.shareDropped
  return [
    `loss ${loss.toFixed(3)}`,
    `${formatCount(Math.round(examplesPerSecond))} ${unit}/s`,
    ...(typeof dropped === 'number' ? [`${(100 * dropped).toFixed(1)}% dropped`] : []),
    `${formatDuration(secondsLeft)} left`,
  ].join('  ')
}
