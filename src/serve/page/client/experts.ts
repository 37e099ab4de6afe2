import type { Token } from './api.js'
import { element } from './dom.js'
import { visible } from './tokens.js'

/** More columns would make the page slow; the first tokens are shown. */
const MOST_COLUMNS = 512

/** A table of colours: a column for each token that met experts, a row for each sparse layer. null: none met any. */
export function expertStrip(title: string, tokens: readonly Token[]): HTMLElement | null {
  const columns = tokens.filter(({ experts }) => experts !== undefined).slice(0, MOST_COLUMNS)
  const layers = columns[0]?.experts?.length ?? 0
  if (layers === 0) return null
  const heads = columns.map(({ text }) => element('th', { scope: 'col' }, visible(text)))
  const rows = Array.from({ length: layers }, (_, layer) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, `${title}, sparse layer ${layer + 1}`),
      ...columns.map(token => cell(token, layer)),
    ),
  )
  const table = element(
    'table',
    {},
    element('thead', {}, element('tr', {}, element('td'), ...heads)),
    element('tbody', {}, ...rows),
  )
  return element('div', { class: 'strip' }, table)
}

function cell({ text, experts }: Token, layer: number): HTMLElement {
  const [first, ...others] = experts![layer]
  if (first === undefined) return element('td', { title: `${visible(text)}: no expert had room` })
  const style = `background: ${colourOf(first)}`
  return element('td', { style, title: `${visible(text)}: expert ${[first, ...others].join(', ')}` }, String(first))
}

/** Neighbouring numbers get hues far apart: multiples of the golden angle. */
const colourOf = (expert: number): string => `hsl(${Math.round((expert * 137.508) % 360)} 65% 68%)`
