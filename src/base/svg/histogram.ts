import { axes, niceAxis, scaleX, scaleY } from './axes.js'
import type { PlotArea } from './axes.js'
import { element, label, picture } from './element.js'

/** Whole numbers to draw a histogram of. */
export interface HistogramSeries {
  readonly title: string
  readonly values: readonly number[]
  readonly color: string
  /** A value to mark by a line, such as the length of a row. */
  readonly mark?: { readonly at: number; readonly text: string }
}

const WIDTH = 640
const HEIGHT = 240
const MARGIN = { left: 60, right: 24, top: 44, bottom: 44 }
const MAX_BARS = 60

/** Histograms of whole numbers, one below the other, as an SVG picture. `name` is the quantity on the x axis. */
export function histograms(series: readonly HistogramSeries[], name: string): string {
  return picture(
    WIDTH,
    HEIGHT * series.length,
    ...series.map((one, i) => element('g', { transform: `translate(0 ${i * HEIGHT})` }, histogram(one, name))),
  )
}

function histogram({ title, values, color, mark }: HistogramSeries, name: string): string {
  const area: PlotArea = {
    left: MARGIN.left,
    top: MARGIN.top,
    width: WIDTH - MARGIN.left - MARGIN.right,
    height: HEIGHT - MARGIN.top - MARGIN.bottom,
  }
  const { counts, width } = binned(values)
  const x = niceAxis(0, Math.max(counts.length * width, mark?.at ?? 0))
  const y = niceAxis(
    0,
    counts.reduce((a, b) => Math.max(a, b), 0),
  )
  const bars = counts.flatMap((count, i) => {
    if (count === 0) return []
    const left = scaleX(area, x, i * width)
    const top = scaleY(area, y, count)
    return [
      element('rect', {
        x: left,
        y: top,
        width: Math.max(1, scaleX(area, x, (i + 1) * width) - left - 1),
        height: area.top + area.height - top,
        fill: color,
      }),
    ]
  })
  const line = mark && [
    element('line', {
      x1: scaleX(area, x, mark.at),
      y1: area.top,
      x2: scaleX(area, x, mark.at),
      y2: area.top + area.height,
      stroke: '#222',
      'stroke-dasharray': '4 3',
    }),
    label(mark.text, scaleX(area, x, mark.at) - 4, area.top + 12, { 'text-anchor': 'end' }),
  ]
  return [
    label(title, area.left, 18, { 'font-weight': 'bold' }),
    axes(area, x, y, { x: name, y: 'examples' }),
    ...bars,
    ...(line ?? []),
  ].join('')
}

/** How many values are in each bin of whole numbers: bin i holds those from i * width, below (i + 1) * width. */
export function binned(values: readonly number[]): { counts: number[]; width: number } {
  const largest = values.reduce((a, b) => Math.max(a, b), 0)
  const width = Math.max(1, Math.ceil((largest + 1) / MAX_BARS))
  const counts = new Array<number>(Math.floor(largest / width) + 1).fill(0)
  for (const value of values) counts[Math.floor(value / width)]++
  return { counts, width }
}
