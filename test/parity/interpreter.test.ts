import { fileURLToPath } from 'node:url'
import { beforeAll, describe, it } from 'vitest'
import { setBackend } from '../../src/engine/api/engine.js'
import { referenceBackend } from '../../src/engine/compile/reference/backend.js'
import { verifyFolder } from '../../src/verify/hf-folder.js'
import { verifyT5x } from '../../src/verify/t5x.js'
import { expectAgreement } from './agreement.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/**
 * The remaining parity tests run compiled programs. This one checks the interpreter, which defines programs, against
 * the same values.
 */
describe('the interpreted model agrees too', () => {
  beforeAll(() => {
    setBackend(referenceBackend)
  })

  it('with HF', async () => expectAgreement(await verifyFolder(fixture('switch-bf16')), 5e-6))
  it('with T5X', async () =>
    expectAgreement(
      await verifyT5x({ params: fixture('t5x/params.safetensors'), cases: fixture('t5x/switch_packed.safetensors') }),
      5e-6,
    ))
})
