import { inputTokensOf, tokensOf } from './api.js'
import type { Chunk, Token } from './api.js'
import { byId, element } from './dom.js'
import { expertStrip } from './experts.js'
import { tokenElement } from './tokens.js'

/** The answers to one input as they come, and the experts of their tokens. */
export class Answers {
  private readonly texts = new Map<number, HTMLElement>()
  private readonly tokens = new Map<number, Token[]>()
  private input: readonly Token[] = []

  constructor() {
    byId('answers').replaceChildren()
    byId('experts').hidden = true
  }

  add(chunk: Chunk): void {
    if (chunk.input_experts) this.input = inputTokensOf(chunk)
    for (const choice of chunk.choices) {
      const { index, text, finish_reason } = choice
      const tokens = tokensOf(choice)
      const answer = this.textOf(index)
      if (tokens.length > 0) answer.append(...tokens.map(tokenElement))
      else answer.append(text)
      this.tokens.get(index)!.push(...tokens)
      if (finish_reason === 'length') answer.append(element('span', { class: 'about' }, ' … (the most tokens)'))
    }
  }

  /** Shows the experts: when the answer is complete, since each token would draw the tables anew. */
  showExperts(): void {
    const strips = {
      encoder: [expertStrip('encoder', this.input)],
      decoder: [...this.tokens.values()].map(tokens => expertStrip('decoder', tokens)),
    }
    for (const [id, tables] of Object.entries(strips))
      byId(id).replaceChildren(...tables.filter(table => table !== null))
    byId('experts').hidden = [...strips.encoder, ...strips.decoder].every(table => table === null)
  }

  private textOf(index: number): HTMLElement {
    let text = this.texts.get(index)
    if (text === undefined) {
      text = element('div', { class: 'answer', 'data-index': String(index) })
      this.texts.set(index, text)
      this.tokens.set(index, [])
      byId('answers').append(text)
    }
    return text
  }
}
