import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openWeights } from '../../src/open/open-weights.js'
import { shippedModel, shippedModels } from '../../src/open/shipped-models.js'
import { countParameters } from '../../src/model/parameters.js'
import { formatCount } from '../../src/base/format.js'

const MOST_BYTES = 8e6

const names = await shippedModels()

describe('the models that come with the package', () => {
  it('are g2p', () => {
    expect(names).toEqual(['g2p'])
  })

  it.each(names)('%s has at most 8 MB, a vocabulary, and a card without gaps that has its size', async name => {
    const folder = (await shippedModel(name))!
    const bytes = readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)
    expect(bytes).toBeLessThanOrEqual(MOST_BYTES)
    const weights = await openWeights(folder)
    await weights.close()
    expect(weights.texts).toBeDefined()
    const card = readFileSync(join(folder, 'README.md'), 'utf8')
    expect(card).toContain(`${formatCount(countParameters(weights.specs))} parameters`)
    expect(card.match(/\[[^\]]*\](?!\()/g)).toBeNull()
  })
})
