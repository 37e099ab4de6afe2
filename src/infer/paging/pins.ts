import { ConfigError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import type { Json } from '../../checkpoint/json.js'
import type { PageNumbers } from './pages.js'
import type { Turn } from './turn.js'

/** Experts that stay in memory once they are read, as a file holds them. */
export interface PinList {
  readonly format: typeof PIN_FORMAT
  readonly version: 1
  /** The model whose trace the list was made from. */
  readonly model: string
  readonly pins: readonly { readonly stack: string; readonly experts: readonly number[] }[]
}

const PIN_FORMAT = 'switchyard pinned experts'

/**
 * The share of slots that a list pins. The remaining slots go to the eviction policy, which follows what a run needs:
 * with the default policy, more pins have no higher hit rates (docs/paging.md).
 */
const PINNED_SHARE = 0.5

/** Pins the pages that a trace's turns use most, in half of the slots. Pages that are used once are not pinned. */
export function choosePins(turns: Iterable<Turn>, pages: PageNumbers, slots: number): ReadonlySet<number> {
  const uses = new Int32Array(pages.count)
  for (const turn of turns) for (const page of turn.pages) uses[page]++
  const byUse = Array.from(uses.keys())
    .filter(page => uses[page] > 1)
    .sort((a, b) => uses[b] - uses[a])
  return new Set(byUse.slice(0, Math.floor(slots * PINNED_SHARE)))
}

/** A file's content for pinned pages. */
export function pinList(model: string, pinned: ReadonlySet<number>, pages: PageNumbers): PinList {
  const pins = pages.stacks.map(({ path }, stack) => ({
    stack: path,
    experts: Array.from(pinned, page => (pages.stackOf(page) === stack ? pages.expertOf(page) : -1))
      .filter(expert => expert >= 0)
      .sort((a, b) => a - b),
  }))
  return { format: PIN_FORMAT, version: 1, model, pins: pins.filter(({ experts }) => experts.length > 0) }
}

/**
 * The pages that a file's list pins. Throws a ConfigError that names the file if it is no such list, or is a list for
 * another model.
 */
export function pinnedPages(path: string, list: Json, pages: PageNumbers): ReadonlySet<number> {
  if (!isPinList(list))
    throw new ConfigError(`${path}: this is no list of pinned experts, as switchyard experts pin writes it`)
  return new Set(
    list.pins.flatMap(({ stack, experts }) => {
      const at = pages.stacks.findIndex(shape => shape.path === stack)
      const wrong = at < 0 || experts.find(expert => expert >= pages.stacks[at].numExperts) !== undefined
      if (wrong)
        throw new ConfigError(
          `${path}: this list is for another model (${list.model}): it pins ${at < 0 ? stack : `expert ${Math.max(...experts)} of ${stack}`}, which this model does not have`,
        )
      return experts.map(expert => pages.of(at, expert))
    }),
  )
}

/** Throws a ConfigError if pinned pages leave no slot for others. */
export function checkPins(
  pinned: ReadonlySet<number>,
  slots: number,
  { slotBytes }: Pick<PageNumbers, 'slotBytes'>,
): void {
  if (pinned.size < slots || pinned.size === 0) return
  throw new ConfigError(
    `${pinned.size} pinned experts take ${formatBytes(pinned.size * slotBytes)}, and the memory for experts has room for ${slots}: make the list for this memory (switchyard experts pin TRACE --memory SIZE)`,
  )
}

function isPinList(value: unknown): value is PinList {
  const { format, version, model, pins } = (value ?? {}) as Partial<PinList>
  return (
    format === PIN_FORMAT &&
    version === 1 &&
    typeof model === 'string' &&
    Array.isArray(pins) &&
    pins.every(
      ({ stack, experts }: Partial<PinList['pins'][number]>) =>
        typeof stack === 'string' &&
        Array.isArray(experts) &&
        experts.every(expert => Number.isSafeInteger(expert) && expert >= 0),
    )
  )
}
