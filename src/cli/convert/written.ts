import { join } from 'node:path'
import { FileError, SwitchyardError } from '../../base/errors.js'
import { safetensors } from '../../checkpoint/safetensors.js'
import { openWeights } from '../../open/open-weights.js'
import { openTextWeights } from '../../open/text-model.js'
import { invocation } from '../shared/invocation.js'
import { shellWord } from '../shared/shell-word.js'
import { findModelValues } from '../shared/model-values.js'

/**
 * Opens a model that was just written, as `infer` does, and returns the last lines of the report. It reads the headers,
 * the configuration and the vocabulary, and no weights, which may be large. Throws a FileError if `infer` could not
 * open the model: what is missing, and what to do.
 */
export async function checkWritten(folder: string): Promise<string> {
  const look = `to see what it holds: ${invocation()} inspect ${shellWord(folder)}`
  try {
    const isEncoder = await isEncoderAlone(folder)
    if (isEncoder)
      return `written to ${folder}, and opened again; it is an encoder alone, which embed can use, and infer cannot\n${look}`
    const { weights } = await openTextWeights(folder, {
      findValues: findModelValues,
      onNotice: message => console.error(message),
    })
    await weights.close()
  } catch (error) {
    if (!(error instanceof SwitchyardError)) throw error
    throw new FileError(`written to ${folder}, but infer cannot open it: ${error.message}`, { cause: error })
  }
  return `written to ${folder}, and opened again as infer does: its weights, vocabulary and configuration are complete\n${look}`
}

async function isEncoderAlone(folder: string): Promise<boolean> {
  const weights = await openWeights(folder)
  await weights.close()
  return weights.model.numDecoderLayers === 0
}

/** As `checkWritten`, of the adapters of `run`, which `infer` adds to their kernels when it opens the run itself. */
export async function checkWrittenAdapters(folder: string, run: string): Promise<string> {
  const reader = await safetensors.open(join(folder, 'adapter_model.safetensors'))
  await reader.close()
  return `written to ${folder}, and opened again; these are adapters alone, which PEFT and infer merge into their base; ${run} has them, too`
}
