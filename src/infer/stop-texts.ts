/**
 * Cuts a text, which arrives in parts, before the stop text that is complete first; of two that end together, before
 * the longer one. The cut text does not depend on how the text is divided into parts.
 */
export class StopTexts {
  /** Text that may begin a stop text. */
  private held = ''
  private hasStopped = false

  constructor(private readonly stops: readonly string[]) {}

  /** Whether a stop text was found. */
  get isFound(): boolean {
    return this.hasStopped
  }

  /** Adds a part. Returns the text that is known not to belong to a stop text; after a stop text, nothing. */
  push(part: string): string {
    if (this.hasStopped) return ''
    const text = this.held + part
    const [found] = this.stops
      .map(stop => ({ at: text.indexOf(stop), length: stop.length }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at + a.length - (b.at + b.length) || a.at - b.at)
    this.hasStopped = found !== undefined
    const end = found?.at ?? text.length - this.countHeld(text)
    this.held = this.hasStopped ? '' : text.slice(end)
    return text.slice(0, end)
  }

  /** Ends the text. Returns the text that was held back and has not become a stop text. */
  end(): string {
    const rest = this.held
    this.held = ''
    return rest
  }

  /** The length of the longest end of a text that begins a stop text. */
  private countHeld(text: string): number {
    const longest = Math.min(text.length, Math.max(0, ...this.stops.map(({ length }) => length - 1)))
    for (let count = longest; count > 0; count--)
      if (this.stops.some(stop => stop.length > count && stop.startsWith(text.slice(-count)))) return count
    return 0
  }
}
