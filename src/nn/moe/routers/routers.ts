import type { Router } from '../router.js'
import { expertsChoose } from './experts-choose.js'
import { hashTokens } from './hash.js'
import { randomTokens } from './random.js'
import { softMixture } from './soft.js'
import { tokensChoose } from './tokens-choose.js'
import type { TokensChooseOptions } from './tokens-choose.js'

/** The routers that a configuration can name. A new one is a file beside this one and a line here. */
export const routers = {
  tokensChoose,
  expertsChoose: () => expertsChoose,
  hash: () => hashTokens,
  random: () => randomTokens,
  soft: () => softMixture,
} satisfies Record<string, (options: TokensChooseOptions) => Router>

/** The name of a router. */
export type RouterKind = keyof typeof routers
