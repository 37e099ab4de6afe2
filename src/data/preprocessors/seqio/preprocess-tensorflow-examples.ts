import { ConfigError } from '../../../base/errors.js'
import type { Fields, Preprocessor } from '../../preprocessor.js'
import { mapPreprocessor } from './map-preprocessor.js'

/**
 * SeqIO's `preprocess_tensorflow_examples`: `inputs` and `targets` from formats such as `translate: {text}`, in which
 * `{NAME}` is the text of a field. Braces around other words are ordinary text.
 *
 * As in SeqIO, so is a field's name with any one character before and after it, if that is all of the text between two
 * fields: in `{a}(b){a}`, `(b)` is the text of the field b.
 */
export const preprocessTensorflowExamples = (inputsFormat: string, targetsFormat: string): Preprocessor =>
  mapPreprocessor('preprocessTensorflowExamples', example => ({
    inputs: format(inputsFormat, example),
    targets: format(targetsFormat, example),
  }))

function format(text: string, example: Fields): string {
  const names = Object.keys(example).map(name => name.replaceAll(/[^\w\s]/gu, '\\$&'))
  const parts = text.split(new RegExp(`(\\{(?:${names.join('|')})\\})`))
  const texts = parts.map(part => {
    const name = part.slice(1, -1)
    if (!Object.hasOwn(example, name)) return part
    const value = example[name]
    if (typeof value !== 'string')
      throw new ConfigError(`the field "${name}" in the format "${text}" must be a text, not ${typeof value}`)
    return value
  })
  return texts.join('')
}
