import { axes, niceAxis, scaleX, scaleY } from './axes.js'
import type { PlotArea } from './axes.js'
import { element, label, picture, seriesColors } from './element.js'

type Point = readonly [x: number, y: number]

/** A curve: points in the order of x. Points whose y is not finite are left out. */
export interface Curve {
  readonly points: readonly Point[]
  /** The index of the curve's name in the legend, which gives its color. */
  readonly name: number
  /** Drawn with dashes, to tell it from another curve of the same color. */
  readonly dashed?: boolean
}

/** A chart of several curves. */
export interface Panel {
  readonly title: string
  readonly curves: readonly Curve[]
}

/** The words of a chart. */
export interface ChartText {
  /** The legend: names of curves, one for each color. */
  readonly names: readonly string[]
  /** What dashed curves are. */
  readonly dashedName: string
  readonly xLabel: string
}

const WIDTH = 760
const PANEL_HEIGHT = 260
const MARGIN = { left: 72, right: 36, top: 34, bottom: 44 }
const DASHES = '6 4'
/** A longer curve is drawn through the means of this many groups of points, over the range of each group. */
const GROUPS = 300

/** A picture of panels, one above the other, with the same x axis from 0 to the greatest x, and a legend. */
export function lineChart(panels: readonly Panel[], { names, dashedName, xLabel }: ChartText): string {
  const dashes = panels.some(({ curves }) => curves.some(({ dashed }) => dashed))
  const legend = legendOf(names, dashes ? dashedName : undefined)
  const lastX = greatest(panels.flatMap(({ curves }) => curves.flatMap(({ points }) => points.map(([x]) => x))))
  return picture(
    WIDTH,
    legend.height + panels.length * PANEL_HEIGHT,
    legend.svg,
    ...panels.map((panel, i) => drawPanel(panel, legend.height + i * PANEL_HEIGHT, lastX, xLabel)),
  )
}

function legendOf(names: readonly string[], dashedName?: string): { svg: string; height: number } {
  const entries: [name: string, color: string, dashes?: string][] = names.map((name, i) => [name, colorOf(i)])
  if (dashedName !== undefined) entries.push([dashedName, '#666', DASHES])
  let x = MARGIN.left
  let y = 22
  const parts = entries.map(([name, stroke, dashes]) => {
    const width = 44 + 7 * name.length
    if (x + width > WIDTH - MARGIN.right && x > MARGIN.left) [x, y] = [MARGIN.left, y + 20]
    const at = { x1: x, x2: x + 24, y1: y - 4, y2: y - 4 }
    const sample = element('line', { ...at, stroke, 'stroke-width': 2, 'stroke-dasharray': dashes })
    const entry = sample + label(name, x + 30, y)
    x += width
    return entry
  })
  return { svg: parts.join(''), height: y + 10 }
}

function drawPanel({ title, curves }: Panel, top: number, lastX: number, xLabel: string): string {
  const area: PlotArea = {
    left: MARGIN.left,
    top: top + MARGIN.top,
    width: WIDTH - MARGIN.left - MARGIN.right,
    height: PANEL_HEIGHT - MARGIN.top - MARGIN.bottom,
  }
  const heading = label(title, area.left, area.top - 10, { 'font-size': 14, 'font-weight': 'bold' })
  const values = curves.flatMap(({ points }) => points.map(([, y]) => y)).filter(Number.isFinite)
  if (values.length === 0) return heading + label('no finite values', area.left + 8, area.top + 20)
  const x = niceAxis(0, lastX, 8)
  const y = niceAxis(-greatest(values.map(value => -value)), greatest(values))
  const place = ([px, py]: Point): Point => [scaleX(area, x, px), scaleY(area, y, py)]
  return [heading, axes(area, x, y, { x: xLabel, y: '' }), ...curves.map(curve => drawCurve(curve, place))].join('')
}

function drawCurve({ points, name, dashed }: Curve, place: (point: Point) => Point): string {
  const color = colorOf(name)
  const finite = points.filter(([, y]) => Number.isFinite(y))
  if (finite.length === 1) {
    const [cx, cy] = place(finite[0])
    return element('circle', { cx, cy, r: 3, fill: color })
  }
  const path = (ends: readonly Point[]): string =>
    ends
      .map(point =>
        place(point)
          .map(pixel => pixel.toFixed(1))
          .join(','),
      )
      .join(' ')
  const groups = inGroups(finite)
  const curve = element('polyline', {
    points: path(groups.map(({ x, mean }) => [x, mean])),
    fill: 'none',
    stroke: color,
    'stroke-width': 1.8,
    'stroke-linejoin': 'round',
    'stroke-dasharray': dashed ? DASHES : undefined,
  })
  if (groups.length === finite.length) return curve
  const above = groups.map(({ x, high }): Point => [x, high])
  const below = groups.map(({ x, low }): Point => [x, low]).reverse()
  return element('polygon', { points: path([...above, ...below]), fill: color, opacity: 0.15 }) + curve
}

/** Points in groups of neighbours, each with its middle, mean and range. */
function inGroups(points: readonly Point[]) {
  const size = Math.max(1, Math.ceil(points.length / GROUPS))
  return Array.from({ length: Math.ceil(points.length / size) }, (_, g) => {
    const group = points.slice(g * size, (g + 1) * size)
    const ys = group.map(([, y]) => y)
    const [x] = group[group.length >> 1]
    return { x, mean: ys.reduce((sum, y) => sum + y, 0) / ys.length, low: Math.min(...ys), high: Math.max(...ys) }
  })
}

const greatest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), -Infinity)

const colorOf = (name: number): string => seriesColors[name % seriesColors.length]
