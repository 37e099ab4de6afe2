/** A request for completions, without `stream`. */
export type CompletionRequest = Readonly<Record<string, unknown>> & { readonly prompt: string }

const words =
  'a hello read moon cat quiet queue rhythm strength through colonel ubiquitous zebra thesaurus bigtime xylophone switchyard transformer serendipity internationalization'.split(
    ' ',
  )

/** The ways to generate that are mixed. */
const options: readonly Readonly<Record<string, unknown>>[] = [
  {},
  { temperature: 1, seed: 7 },
  { max_tokens: 3 },
  { num_beams: 4, n: 2, max_tokens: 12 },
  { temperature: 1.5, seed: 11, n: 2, min_tokens: 40, max_tokens: 40 },
]

/** All requests of the load: words alone and up to eight in a row (1 to about 100 characters), each in every way. */
export const requests: readonly CompletionRequest[] = words.flatMap((word, i) => {
  const prompt = Array.from({ length: 1 + (i % 8) }, (_, k) => words[(i + k) % words.length]).join(' ')
  return [word, prompt].flatMap(text => options.map(option => ({ prompt: text, logprobs: 0, ...option })))
})
