import { formatCount } from '../../base/format.js'
import { element, label, picture } from '../../base/svg/element.js'
import type { PageNumbers } from './pages.js'

const CELL_HEIGHT = 18
/** The cells of a row take about this width; a cell is between 1 and 18 wide. */
const ROW_WIDTH = 1024
const MARGIN = { left: 230, right: 24, top: 64, bottom: 24 }

/**
 * A heat map as an SVG picture: a row for each stack, a cell for each expert, darker for more tokens. A cell's title
 * names its numbers. `tokens` has the number of tokens of each page. The darkest colour is that of the expert with most
 * tokens in all stacks.
 */
export function heatMap(model: string, pages: PageNumbers, tokens: ArrayLike<number>): string {
  const { stacks } = pages
  const experts = Math.max(...stacks.map(({ numExperts }) => numExperts))
  const width = Math.min(CELL_HEIGHT, Math.max(1, Math.floor(ROW_WIDTH / experts)))
  const most = Array.from(tokens).reduce((a, b) => Math.max(a, b), 0)
  const rows = stacks.map(({ path, numExperts }, stack) => {
    const top = MARGIN.top + stack * (CELL_HEIGHT + 4)
    const counts = Array.from({ length: numExperts }, (_, expert) => tokens[pages.of(stack, expert)])
    const cells = counts.map((count, expert) =>
      element(
        'rect',
        { x: MARGIN.left + expert * width, y: top, width, height: CELL_HEIGHT, fill: colorOf(count, most) },
        element('title', {}, `${path}, expert ${expert}: ${formatCount(count)} tokens`),
      ),
    )
    const frame = {
      x: MARGIN.left,
      y: top,
      width: numExperts * width,
      height: CELL_HEIGHT,
      fill: 'none',
      stroke: '#bbb',
    }
    const met = counts.filter(count => count > 0).length
    const name = `${path.replace(/\/mlp\/expert$/, '')}: ${formatCount(met)} of ${formatCount(numExperts)} met`
    return element(
      'g',
      {},
      label(name, MARGIN.left - 8, top + 13, { 'text-anchor': 'end' }),
      ...cells,
      element('rect', frame),
    )
  })
  const height = MARGIN.top + stacks.length * (CELL_HEIGHT + 4) + MARGIN.bottom
  return picture(
    MARGIN.left + Math.max(experts * width, 360) + MARGIN.right,
    height,
    label(`Tokens that each expert got: ${model}`, MARGIN.left, 20, { 'font-weight': 'bold' }),
    label(
      `expert 0 to ${formatCount(experts - 1)}; darkest: ${formatCount(most)} tokens; white: none`,
      MARGIN.left,
      42,
    ),
    ...rows,
  )
}

/** From white for no token to dark blue; a square root, so that experts with few tokens can be told from none. */
function colorOf(count: number, most: number): string {
  if (count === 0) return '#ffffff'
  const share = Math.sqrt(count / most)
  const mixed = (light: number, dark: number): number => Math.round(light + (dark - light) * share)
  return `rgb(${mixed(222, 8)},${mixed(235, 48)},${mixed(247, 107)})`
}
