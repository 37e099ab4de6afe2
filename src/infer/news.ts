/** Tells a reader that there is something new. News that the reader has not heard yet are told once. */
export class News {
  private isNew = false
  private wake: () => void = () => undefined

  /** Tells the reader. */
  tell(): void {
    this.isNew = true
    this.wake()
  }

  /** Resolves when there is something new since the last call. */
  async next(): Promise<void> {
    if (!this.isNew)
      await new Promise<void>(resolve => {
        this.wake = resolve
      })
    this.isNew = false
  }
}
