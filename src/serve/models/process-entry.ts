import { setBackend } from '../../engine/api/engine.js'
import { openBackend } from '../../engine/api/open-backend.js'
import { OnnxBackend } from '../../engine/compile/onnx/backend.js'
import { nodeSessions } from '../../engine/compile/onnx/node.js'
import { endWithParent } from './end-with-parent.js'
import type { FromModel, Opening, ToModel } from './messages.js'
import { ModelHost } from './model-host.js'
import { openServedModel } from './open-served-model.js'
import { toSent } from './sent-errors.js'

// The process of a model: see ModelProcess, which starts it. Signals that a terminal or a service manager sends to all
// processes of a group are the server's business: it lets running requests finish, and ends this process then.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
endWithParent()

const send = (message: FromModel): void => {
  if (process.connected) process.send!(message)
}

let host: ModelHost | undefined
process.on('message', (message: ToModel) => {
  if (message.kind === 'open') void open(message.opening)
  else if (message.kind === 'ping') send({ kind: 'pong' })
  else host?.receive(message)
})

async function open(opening: Opening): Promise<void> {
  try {
    const usesXla = process.env.SWITCHYARD_BACKEND === 'xla'
    setBackend(usesXla ? await openBackend('xla') : new OnnxBackend(nodeSessions(opening.threads)))
    const model = await openServedModel(opening, message => send({ kind: 'notice', message }))
    host = new ModelHost(model, send)
    send({ kind: 'opened', facts: model.facts })
  } catch (error) {
    // The server ends this process when it has read the message.
    send({ kind: 'failed', error: toSent(error) })
  }
}
