/**
 * The state of each row of a search, so that a step reads only the row's new token. A row is known by its list of
 * tokens, if the search appends to it, or by a list that is one token shorter, if the search makes new lists (beams).
 */
export class RowStates<S> {
  private known: { readonly tokens: readonly number[]; length: number; state: S }[] = []

  /** `skipped`: how many tokens of a row come before its answer. `place`: how many come before the given token. */
  constructor(
    private readonly start: S,
    private readonly skipped: number,
    private readonly after: (state: S, token: number, place: number) => S,
  ) {}

  /** The state after all tokens of a row. */
  of(tokens: readonly number[]): S {
    const same = this.known.find(row => row.tokens === tokens && row.length <= tokens.length)
    const before = same ?? this.known.find(row => isBeginning(row, tokens))
    let state = before?.state ?? this.start
    for (let place = before?.length ?? this.skipped; place < tokens.length; place++)
      state = this.after(state, tokens[place], place)
    if (same) Object.assign(same, { length: tokens.length, state })
    else {
      // Rows of beams that are two steps behind are continued by none.
      this.known = this.known.filter(row => row.length >= tokens.length - 1)
      this.known.push({ tokens, length: tokens.length, state })
    }
    return state
  }
}

const isBeginning = (
  { tokens: own, length }: { readonly tokens: readonly number[]; readonly length: number },
  tokens: readonly number[],
): boolean => {
  if (length !== tokens.length - 1) return false
  for (let i = length - 1; i >= 0; i--) if (own[i] !== tokens[i]) return false
  return true
}
