import { availableParallelism } from 'node:os'
import { describe } from 'vitest'
import { nodeSessions } from '../../../src/engine/compile/onnx/node.js'
import { OnnxBackend } from '../../../src/engine/compile/onnx/backend.js'
import type { SessionFactory } from '../../../src/engine/compile/onnx/session.js'
import { referenceBackend } from '../../../src/engine/compile/reference/backend.js'
import { backendConformance } from './suite.js'

/** The same sessions, counting their runs. */
function counted(sessions: SessionFactory): { sessions: SessionFactory; launches: () => number } {
  let count = 0
  return {
    launches: () => count,
    sessions: {
      describe: () => sessions.describe(),
      create: async (model, options) => {
        const session = await sessions.create(model, options)
        return {
          ...session,
          run: (inputs, outputs) => {
            count++
            return session.run(inputs, outputs)
          },
        }
      },
    },
  }
}

// The interpreter is compared with the stated results of cases, and with and without donation.
describe('reference', () => backendConformance({ create: () => referenceBackend, isReference: true }))

describe('onnx', () => {
  const { sessions, launches } = counted(nodeSessions(Math.min(2, availableParallelism())))
  backendConformance({ create: () => new OnnxBackend(sessions), launches, updatesInPlace: true })
})
