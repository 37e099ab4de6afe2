import { readAsSource } from '../../data/file-as-source.js'
import { openInputs } from '../../data/pairs/inputs.js'
import type { Inputs, InputsOptions } from '../../data/pairs/inputs.js'
import { pairsSettingsOf } from '../../data/pairs/settings.js'
import { reuseSettings } from './reused-settings.js'
import { trainedOn } from './trained-on.js'

/**
 * The inputs of a file, read as the model's own data was: by the columns of a run of pairs, or by the preprocessors of
 * its task if that can be opened.
 */
export async function openAsTrained(model: string, data: InputsOptions): Promise<Inputs> {
  const { pairs, task, needs, note } = await trainedOn(model)
  if (pairs !== undefined) {
    const { settings, notes } = await reuseSettings(pairsSettingsOf(data), pairs, model, ['input'])
    const { input, header, delimiter, quotes, skipBadRows } = settings
    const form = { header: header ?? undefined, delimiter: delimiter ?? undefined, quotes: quotes ?? undefined }
    const inputs = await openInputs({
      path: data.path,
      input: input ?? undefined,
      skipBadRows,
      ...form,
    })
    return { ...inputs, notes: [...notes, ...inputs.notes] }
  }
  const read = task && (await readAsSource(task, data, ['input'], needs))
  if (read === undefined) {
    const inputs = await openInputs(data)
    return note === undefined ? inputs : { ...inputs, notes: [note, ...inputs.notes] }
  }
  const { examples, notes } = read
  return { length: examples.length, notes, get: i => examples[i].input, close: () => undefined }
}
