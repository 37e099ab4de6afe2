import { adminModels } from './admin.js'
import { chat } from './chat.js'
import { completions } from './completions.js'
import { embeddings } from './embeddings.js'
import type { Endpoint } from './endpoint.js'
import { health } from './health.js'
import { metrics } from './metrics.js'
import { listModels, oneModel } from './models.js'
import { responses } from './responses.js'
import { score } from './score.js'
import { detokenize, tokenize } from './tokenize.js'

/** All endpoints of the server, in the order of its document. */
export const endpoints: readonly Endpoint[] = [
  completions,
  chat,
  responses,
  embeddings,
  listModels,
  oneModel,
  tokenize,
  detokenize,
  score,
  health,
  metrics,
  adminModels,
]
