import type { Admission } from '../admission/admission.js'
import type { RunningRequests } from '../http/shutdown.js'
import type { ServingMetrics } from '../metrics/serving-metrics.js'
import type { ModelRegistry } from '../models/registry.js'
import type { ApiSettings } from '../settings.js'
import type { ChatTemplate } from './chat-template.js'

/** What all requests of a server share. */
export interface ServerContext {
  readonly models: ModelRegistry
  readonly settings: ApiSettings
  readonly chatTemplate: ChatTemplate
  readonly admission: Admission
  readonly running: RunningRequests
  readonly metrics: ServingMetrics
}
