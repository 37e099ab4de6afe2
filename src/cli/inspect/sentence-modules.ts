import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { readSentenceTransformer } from '../../checkpoint/sentence-transformers/folder.js'
import type { SentenceTransformer } from '../../checkpoint/sentence-transformers/folder.js'

/** A fact with its name, for a table. */
type Fact = readonly [name: string, value: string]

/** How sentence-transformers makes vectors with the model in a folder; nothing if it has not saved the folder. */
export async function moduleFacts(folder: string): Promise<Fact[]> {
  try {
    const saved = await readSentenceTransformer(folder)
    return saved === undefined ? [] : factsOf(saved)
  } catch (error) {
    // The model can be of use without its modules.
    if (error instanceof FileError) return [['vectors of texts', `not computed here: ${error.message}`]]
    throw error
  }
}

function factsOf(saved: SentenceTransformer): Fact[] {
  const { pooling, layers, maxLength, lowerCase, prompts, defaultPrompt, similarity, truncateDim } = saved
  const steps = [
    `${pooling.modes.join(' + ')} of the tokens${pooling.includePrompt ? '' : ' after the prompt'}`,
    ...layers.map(layer => {
      if (layer.kind === 'Normalize') return 'length 1'
      const { inFeatures, outFeatures, activation, residual } = layer
      return `dense ${inFeatures} to ${outFeatures}${activation === 'Identity' ? '' : `, ${activation}`}${residual ? ', plus its input' : ''}`
    }),
    ...(truncateDim === undefined ? [] : [`the first ${formatCount(truncateDim)} numbers`]),
    ...(similarity === 'cosine' ? [] : [`compared by ${similarity}`]),
  ]
  const names = Object.keys(prompts).filter(name => prompts[name] !== '')
  return [
    ['vectors of texts', steps.join('; ')],
    ...(maxLength === undefined ? [] : [['most tokens of a text', formatCount(maxLength)] as const]),
    ...(lowerCase ? [['letters', 'lowercase'] as const] : []),
    ...(names.length === 0
      ? []
      : [
          [
            'prompts',
            names
              .map(name => `${name} ${JSON.stringify(prompts[name])}${name === defaultPrompt ? ' (default)' : ''}`)
              .join(', '),
          ] as const,
        ]),
  ]
}
