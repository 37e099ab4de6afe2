import type { Token } from './api.js'
import { element } from './dom.js'

/**
 * A token of an answer. The less probable it was, the stronger its colour; its tooltip names the most probable tokens
 * at this place.
 */
export function tokenElement(token: Token): HTMLElement {
  const { text, logprob } = token
  if (logprob === undefined) return element('span', { class: 'token' }, text)
  const doubt = (1 - Math.exp(logprob)).toFixed(3)
  return element('span', { class: 'token', style: `--share: ${doubt}`, title: describe(token), tabindex: '0' }, text)
}

function describe({ id, text, logprob, top = [] }: Token): string {
  const line = (token: { text: string; logprob?: number }): string =>
    `${(100 * Math.exp(token.logprob ?? NaN)).toFixed(1)}%  ${visible(token.text)}`
  return [`${visible(text)} (${id})`, line({ text, logprob }), '', ...top.map(line)].join('\n')
}

/** A token's text with its spaces and line ends made visible. */
export const visible = (text: string): string => text.replaceAll(' ', '␣').replaceAll('\n', '⏎')
