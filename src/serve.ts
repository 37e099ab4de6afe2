/** `switchyard-ml/serve`: models over HTTP. For Node. */

export { serve } from './serve/serve.js'
export type { FailedModel, RunningServer } from './serve/serve.js'
export type { ApiSettings, ServeSettings } from './serve/settings.js'
export type { ModelSource } from './serve/models/model-source.js'
export type { ModelLimits } from './serve/models/messages.js'
export { DEFAULT_CHAT_TEMPLATE } from './serve/api/chat-template.js'
