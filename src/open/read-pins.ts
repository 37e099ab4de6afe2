import { readFile } from 'node:fs/promises'
import { ConfigError } from '../base/errors.js'
import { withPath } from '../base/system-errors.js'
import { parseJson } from '../checkpoint/json.js'
import type { PageNumbers } from '../infer/paging/pages.js'
import { pinnedPages } from '../infer/paging/pins.js'

/**
 * Reads a list of experts that stay in memory (`switchyard experts pin` writes it). The result tells their pages in a
 * model: it throws a ConfigError if the file is no such list, or one for another model.
 */
export async function readPins(path: string): Promise<(pages: PageNumbers) => ReadonlySet<number>> {
  const text = await withPath(path, () => readFile(path, 'utf8'))
  const list = parseJson(text, message => new ConfigError(`${path}: ${message}`))
  return pages => pinnedPages(path, list, pages)
}
