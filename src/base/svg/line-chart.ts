import { element, label, PALETTE, picture, scale, ticks, tickText } from './svg.js'

/** A curve: points in the order of x. */
export interface Curve {
  readonly points: readonly (readonly [x: number, y: number])[]
  /** The index of the curve's name in the chart's legend, which gives its colour. */
  readonly name: number
  /** Drawn with dashes, to tell it from another curve of the same colour. */
  readonly dashed?: boolean
}

/** A chart of several curves. */
export interface Panel {
  readonly title: string
  readonly curves: readonly Curve[]
}

const WIDTH = 760
const PANEL = { height: 260, left: 72, right: 36, top: 34, bottom: 40 }
/** A curve of more points is drawn through the means of this many groups of points, over the range of each group. */
const GROUPS = 300

/** The words of a chart. */
export interface ChartText {
  /** The legend: names of curves, one for each colour. */
  readonly names: readonly string[]
  /** What dashed curves are. */
  readonly dashedName: string
  readonly xLabel: string
}

/** A picture of panels, one above the other, with the same x axis from 0 to the greatest x, and a legend. */
export function lineChart(panels: readonly Panel[], { names, dashedName, xLabel }: ChartText): string {
  const dashes = panels.some(({ curves }) => curves.some(({ dashed }) => dashed))
  const legend = legendOf(names, dashes ? dashedName : undefined)
  const lastX = panels
    .flatMap(({ curves }) => curves.flatMap(({ points }) => points))
    .reduce((greatest, [x]) => Math.max(greatest, x), 0)
  const height = legend.height + panels.length * PANEL.height
  return picture(
    WIDTH,
    height,
    legend.svg,
    ...panels.map((panel, i) => drawPanel(panel, legend.height + i * PANEL.height, lastX, xLabel)),
  )
}

function legendOf(names: readonly string[], dashedName?: string): { svg: string; height: number } {
  const entries = names.map((name, i) => ({ name, dashed: false, colour: colourOf(i) }))
  if (dashedName !== undefined) entries.push({ name: dashedName, dashed: true, colour: '#666' })
  let x = PANEL.left
  let y = 22
  const parts = entries.map(({ name, dashed, colour }) => {
    const width = 44 + 7 * name.length
    if (x + width > WIDTH - PANEL.right && x > PANEL.left) [x, y] = [PANEL.left, y + 20]
    const svg = line(x, y - 4, x + 24, y - 4, colour, 2, dashed) + label(name, { x: x + 30, y })
    x += width
    return svg
  })
  return { svg: parts.join(''), height: y + 10 }
}

function drawPanel({ title, curves }: Panel, y: number, lastX: number, xLabel: string): string {
  const points = curves.flatMap(curve => curve.points).filter(([, value]) => Number.isFinite(value))
  const box = { x0: PANEL.left, x1: WIDTH - PANEL.right, y0: y + PANEL.top, y1: y + PANEL.height - PANEL.bottom }
  const heading = label(title, { x: box.x0, y: y + PANEL.top - 10, 'font-size': 14, 'font-weight': 600 })
  if (points.length === 0) return heading + label('no finite values', { x: box.x0 + 8, y: box.y0 + 20 })
  const xs = [0, lastX] as const
  const ys = rangeOf(
    points.map(([, value]) => value),
    0.05,
  )
  const toX = scale(xs, [box.x0, box.x1])
  const toY = scale(ys, [box.y1, box.y0])
  const grid = ticks(...ys, 5).map(
    value =>
      line(box.x0, toY(value), box.x1, toY(value), '#ddd', 1) +
      label(tickText(value), { x: box.x0 - 8, y: toY(value) + 4, 'text-anchor': 'end' }),
  )
  const steps = ticks(...xs, 8).map(
    value =>
      line(toX(value), box.y1, toX(value), box.y1 + 4, '#888', 1) +
      label(tickText(value), { x: toX(value), y: box.y1 + 17, 'text-anchor': 'middle' }),
  )
  const frame =
    line(box.x0, box.y1, box.x1, box.y1, '#888', 1) +
    label(xLabel, { x: (box.x0 + box.x1) / 2, y: box.y1 + 33, 'text-anchor': 'middle', fill: '#666' })
  return [heading, ...grid, ...steps, frame, ...curves.map(curve => drawCurve(curve, toX, toY))].join('')
}

function drawCurve(
  { points, name, dashed = false }: Curve,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string {
  const colour = colourOf(name)
  const finite = points.filter(([, value]) => Number.isFinite(value))
  if (finite.length === 1)
    return element('circle', { cx: toX(finite[0][0]), cy: toY(finite[0][1]), r: 3, fill: colour })
  const groups = inGroups(finite)
  const path = (ends: readonly (readonly [number, number])[]): string =>
    ends.map(([x, value]) => `${toX(x).toFixed(1)},${toY(value).toFixed(1)}`).join(' ')
  const middle = element('polyline', {
    points: path(groups.map(({ x, mean }) => [x, mean])),
    fill: 'none',
    stroke: colour,
    'stroke-width': 1.8,
    'stroke-linejoin': 'round',
    ...(dashed && { 'stroke-dasharray': '6 4' }),
  })
  if (groups.length === finite.length) return middle
  const above = groups.map(({ x, high }) => [x, high] as const)
  const below = groups.map(({ x, low }) => [x, low] as const).reverse()
  return element('polygon', { points: path([...above, ...below]), fill: colour, opacity: 0.15 }) + middle
}

/** Points in groups of neighbours, each with its mean and range. */
function inGroups(points: readonly (readonly [number, number])[]) {
  const size = Math.max(1, Math.ceil(points.length / GROUPS))
  return Array.from({ length: Math.ceil(points.length / size) }, (_, g) => {
    const group = points.slice(g * size, (g + 1) * size)
    const values = group.map(([, value]) => value)
    return {
      x: group[group.length >> 1][0],
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
      low: Math.min(...values),
      high: Math.max(...values),
    }
  })
}

/** The interval of values, wider by a share of it at both ends. */
function rangeOf(values: readonly number[], margin: number): [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity)
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity)
  const extra = (high - low || Math.abs(high) || 1) * margin
  return [low - extra, high + extra]
}

const colourOf = (name: number): string => PALETTE[name % PALETTE.length]

const line = (x1: number, y1: number, x2: number, y2: number, colour: string, width: number, dashed = false): string =>
  element('line', {
    x1,
    y1,
    x2,
    y2,
    stroke: colour,
    'stroke-width': width,
    ...(dashed && { 'stroke-dasharray': '6 4' }),
  })
