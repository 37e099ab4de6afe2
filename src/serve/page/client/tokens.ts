import type { Token } from './api.js'
import { element } from './dom.js'

/**
 * A token of an answer. The less probable it was, the stronger its colour; its tooltip names the most probable tokens
 * at this place.
 */
export function tokenElement(token: Token): HTMLElement {
  const { text, probability } = token
  if (probability === undefined || Number.isNaN(probability)) return element('span', { class: 'token' }, text)
  const style = `--share: ${(1 - probability).toFixed(3)}`
  return element('span', { class: 'token', style, title: describe(token), tabindex: '0' }, text)
}

function describe({ text, probability = NaN, top = [] }: Token): string {
  const line = (other: string, share: number): string => `${(100 * share).toFixed(1)}%  ${visible(other)}`
  const others = top.toSorted(([, a], [, b]) => b - a).map(([other, share]) => line(other, share))
  return [line(text, probability), '', ...others].join('\n')
}

/** A token's text with its spaces and line ends made visible. A token without text, such as EOS, is a square. */
export const visible = (text: string): string => text.replaceAll(' ', '␣').replaceAll('\n', '⏎') || '□'
