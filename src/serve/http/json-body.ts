import type { FastifyInstance } from 'fastify'
import { badRequest } from './api-error.js'
import { isTooDeep, MOST_LEVELS } from './json-depth.js'

/**
 * Reads JSON bodies. Bytes that are not UTF-8 are refused, since a replacement character would reach the model
 * unnoticed; keys that would change prototypes, and objects and arrays that are nested too deeply, are refused, too.
 */
export function addJsonBody(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer)
    } catch {
      done(badRequest('the body is not UTF-8'))
      return
    }
    const answered = (error: Error | null, value?: unknown): void => {
      if (error === null) done(isTooDeep(value) ? tooDeep() : null, value)
      else done((error as { code?: string }).code === 'FST_ERR_CTP_EMPTY_JSON_BODY' ? error : notJson(error))
    }
    void parse(request, text, answered)
  })
}

/** V8's message ends with the text and "is not valid JSON", which is said already. */
const notJson = ({ message }: Error): Error =>
  badRequest(`the body is not valid JSON: ${message.replace(/,[^,]*is not valid JSON$/s, '')}`)

const tooDeep = (): Error =>
  badRequest(`the body has more than ${MOST_LEVELS} levels of objects and arrays in each other: use fewer`)
