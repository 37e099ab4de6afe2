/** The fields of requests, and the options of the command, that set what the library calls by other names. */
const names: Readonly<Record<string, string>> = {
  maxNewTokens: 'max_tokens',
  minNewTokens: 'min_tokens',
  numReturned: 'n',
  numBeams: 'num_beams',
  lengthPenalty: 'length_penalty',
  earlyStopping: 'early_stopping',
  repetitionPenalty: 'repetition_penalty',
  noRepeatNgram: 'no_repeat_ngram_size',
  logProbabilities: 'logprobs',
  doSample: 'temperature',
  topK: 'top_k',
  topP: 'top_p',
  minP: 'min_p',
  jsonSchema: 'structured_outputs.json',
  maxInputTokens: "the server's --max-input-tokens",
  maxMemoryBytes: "the server's --max-cache",
  maxRows: "the server's --max-rows",
}

const anyName = new RegExp(`(?<![\\w.])(?:${Object.keys(names).join('|')})\\b`, 'g')

/**
 * A message of the library with the names by which clients and operators know its options, and the first field that it
 * names.
 */
export function inApiNames(message: string): { readonly message: string; readonly field: string | null } {
  const fields = Array.from(message.matchAll(anyName), ([name]) => names[name]).filter(name => /^\w+$/.test(name))
  return { message: message.replace(anyName, name => names[name]), field: fields[0] ?? null }
}
