import { z } from 'zod'
import { SwitchyardError } from '../../base/errors.js'
import { ApiError, badRequest } from '../http/api-error.js'
import { defineEndpoint } from './endpoint.js'
import { optional } from './fields.js'

const adminModelBody = z.strictObject({
  name: z.string().min(1).max(200).describe('The name by which clients ask for it.'),
  path: z
    .string()
    .min(1)
    .describe("A folder on the server's machine, a name of the Hugging Face hub, or a shipped model."),
  revision: optional(z.string()).describe('Of a model of the hub: a branch, tag or commit. Default: main.'),
  bits: optional(z.union([z.literal(4), z.literal(8)])).describe('Quantizes the weights while they are loaded.'),
})

export const adminModels = defineEndpoint({
  method: 'POST',
  path: '/admin/models',
  access: 'admin',
  tag: 'Operation',
  summary: 'Loads a model, or another version of one',
  description:
    'Answers when the new version answers. Until then the old one does; requests that run end with the old one. Needs one of the admin keys.',
  body: adminModelBody,
  answers: {
    200: [{ description: 'The model is loaded.', schema: z.object({ name: z.string(), state: z.literal('ready') }) }],
  },
  async handle({ body: { name, path, revision, bits }, server }) {
    try {
      await server.models.load(
        { name, path, ...(revision && { revision }), ...(bits && { bits }) },
        { forgetFailure: true },
      )
    } catch (error) {
      if (error instanceof SwitchyardError && !(error instanceof ApiError)) throw badRequest(error.message)
      throw error
    }
    return { name, state: 'ready' }
  },
})
