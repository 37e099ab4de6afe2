/** Heads of transformers' models of the T5 family that give no text. */
const heads: readonly { readonly tensors: RegExp; readonly what: string }[] = [
  { tensors: /(^|\.)classification_head\./, what: 'sequence classification (ForSequenceClassification)' },
  { tensors: /(^|\.)classifier\./, what: 'token classification (ForTokenClassification)' },
  { tensors: /(^|\.)qa_outputs\./, what: 'question answering by spans (ForQuestionAnswering)' },
]

/** The head of a file whose model gives no text, by the names of its tensors: what it is for. */
export const otherHead = (names: readonly string[]): string | undefined =>
  heads.find(({ tensors }) => names.some(name => tensors.test(name)))?.what
