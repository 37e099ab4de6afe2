import { check, SwitchyardError } from '../../../base/errors.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { formatAval, sameShape } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import type { Buffer } from '../backend.js'
import type { PagePart, Pages } from './pages.js'

/** A paged array: an array whose data is not in memory. Programs fetch its parts along axis 0 while they run. */
export class PagedBuffer implements Buffer {
  /** `part`: which part of each page belongs to this array. Throws a ShapeError if that part does not fit `aval`. */
  constructor(
    readonly aval: Aval,
    readonly pages: Pages,
    readonly part: number,
  ) {
    const [length, ...shape] = aval.shape
    const stored = pages.parts[part]
    check(
      length === pages.length && sameShape(shape, shapeOfPart(stored)),
      () =>
        `a paged ${formatAval(aval)} needs ${length} pages with parts of shape [${shape}], but ${pages.name} has ${pages.length} pages with parts of shape [${shapeOfPart(stored)}]`,
    )
  }

  read(): Promise<HostTensor> {
    return Promise.reject(this.refusal('reading it'))
  }

  /** The error of a use that needs the whole array. `use` names the use. */
  refusal(use: string): SwitchyardError {
    return new SwitchyardError(
      `${use} needs all of the ${formatAval(this.aval)} of ${this.pages.name}, which is paged: only some of its ${this.aval.shape[0]} parts are in memory. Load the model without paging (no --experts-memory)`,
    )
  }
}

/** The shape of an array's part, from how it is stored. */
export function shapeOfPart({ shape, isTransposed }: PagePart): readonly number[] {
  return isTransposed ? [...shape.slice(0, -2), ...shape.slice(-2).reverse()] : shape
}
