import { ConfigError } from '../base/errors.js'
import { didYouMean } from '../base/suggest.js'
import type { Curve, Panel } from '../base/svg/line-chart.js'
import { lineChart } from '../base/svg/line-chart.js'
import type { MetricsRecord } from './metrics-log.js'

export interface RunCurves {
  /** What the legend calls the run. */
  readonly name: string
  readonly records: readonly MetricsRecord[]
}

/** Figures of the validation split begin with this, as `validationLoss` does. */
const VALIDATION = /^validation[._/]?/iu

/**
 * An SVG of the curves of one or more trainings. By default it shows the loss with the validation loss (dashed), every
 * other figure of the validation, and the learning rate; `figures` names others. Each run has its own colour.
 */
export function plotCurves(runs: readonly RunCurves[], figures?: readonly string[]): string {
  const known = knownFigures(runs)
  const unknown = figures?.find(figure => !known.includes(figure))
  if (unknown !== undefined)
    throw new ConfigError(
      `no run has a figure "${unknown}"; ${didYouMean(unknown, known, `they have ${known.join(', ')}`)}`,
    )
  const panels = figures ? figures.map(figure => panelOf(figure, [figure], runs)) : defaultPanels(runs, known)
  return lineChart(panels, { names: runs.map(({ name }) => name), dashedName: 'validation', xLabel: 'step' })
}

function defaultPanels(runs: readonly RunCurves[], known: readonly string[]): Panel[] {
  const validation = known.filter(figure => VALIDATION.test(figure))
  const validationLoss = validation.filter(figure => /loss$/iu.test(figure))
  const metrics = validation.filter(figure => !validationLoss.includes(figure))
  const rest = known.filter(figure => figure === 'learningRate')
  return [
    panelOf('loss', [...known.filter(figure => figure === 'loss'), ...validationLoss], runs),
    ...[...metrics, ...rest].map(figure => panelOf(figure, [figure], runs)),
  ]
}

function panelOf(title: string, figures: readonly string[], runs: readonly RunCurves[]): Panel {
  const curves = figures.flatMap(figure =>
    runs.map(({ records }, name): Curve => {
      const points = records.flatMap((record): [number, number][] => {
        const value = record[figure] as MetricsRecord[string] | null | undefined
        return typeof value === 'number' ? [[record.step, value]] : []
      })
      // A panel of one figure needs no dashes.
      return { points, name, dashed: figures.length > 1 && VALIDATION.test(figure) }
    }),
  )
  return { title: titleOf(title), curves: curves.filter(({ points }) => points.length > 0) }
}

/** The figures that are numbers, in the order in which they are recorded. */
const knownFigures = (runs: readonly RunCurves[]): string[] => {
  const names = new Set<string>()
  for (const { records } of runs)
    for (const record of records)
      for (const [name, value] of Object.entries(record))
        if (name !== 'step' && typeof value === 'number') names.add(name)
  return [...names]
}

/** `learningRate` as words: `learning rate`. */
const titleOf = (figure: string): string => figure.replaceAll(/(?<=[a-z])[A-Z]/gu, letter => ` ${letter.toLowerCase()}`)
