import { formatCount } from '../format.js'
import { element, label } from './element.js'

/** The rectangle of a picture in which data is drawn. */
export interface PlotArea {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** The values along one axis. Drawn from `from` to `to`, with a mark at each tick. */
export interface Axis {
  readonly from: number
  readonly to: number
  readonly ticks: readonly number[]
}

/**
 * An axis over a range of values, with about `count` ticks at round numbers (1, 2 or 5 times a power of ten). It begins
 * and ends at a tick. An empty range is made one wide.
 */
export function niceAxis(low: number, high: number, count = 5): Axis {
  const span = high > low ? high - low : 1
  const rough = span / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find(factor => factor * power >= rough) ?? 10)
  const first = Math.floor(low / step)
  const last = Math.max(first + 1, Math.ceil(high / step))
  // Multiplied, and not added up, so that 0.3 is not 0.30000000000000004.
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
  return { from: ticks[0], to: ticks.at(-1)!, ticks }
}

/** The x position of a value in the area. */
export const scaleX = ({ left, width }: PlotArea, { from, to }: Axis, value: number): number =>
  left + ((value - from) / (to - from)) * width

/** The y position of a value in the area. Values grow upwards. */
export const scaleY = ({ top, height }: PlotArea, { from, to }: Axis, value: number): number =>
  top + height - ((value - from) / (to - from)) * height

/** Both axes with their lines, ticks and names, and light lines across the area at the ticks of y. */
export function axes(area: PlotArea, x: Axis, y: Axis, names: { readonly x: string; readonly y: string }): string {
  const { left, top, width, height } = area
  const bottom = top + height
  const format = (value: number): string => (Number.isInteger(value) ? formatCount(value) : String(value))
  const parts = y.ticks.flatMap(tick => {
    const at = scaleY(area, y, tick)
    return [
      element('line', { x1: left, y1: at, x2: left + width, y2: at, stroke: tick === y.from ? '#222' : '#ddd' }),
      label(format(tick), left - 6, at + 4, { 'text-anchor': 'end' }),
    ]
  })
  for (const tick of x.ticks) {
    const at = scaleX(area, x, tick)
    parts.push(
      element('line', { x1: at, y1: bottom, x2: at, y2: bottom + 4, stroke: '#222' }),
      label(format(tick), at, bottom + 17, { 'text-anchor': 'middle' }),
    )
  }
  parts.push(
    label(names.x, left + width / 2, bottom + 34, { 'text-anchor': 'middle' }),
    label(names.y, left, top - 10, { 'text-anchor': 'start' }),
  )
  return element('g', {}, ...parts)
}
