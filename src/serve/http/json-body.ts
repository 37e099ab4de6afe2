import type { FastifyInstance } from 'fastify'
import { badRequest } from './api-error.js'
import { nestingProblem } from './json-depth.js'

/**
 * Reads JSON bodies. Bytes that are not UTF-8 are refused, since a replacement character would reach the model
 * unnoticed; keys that would change prototypes, and objects and arrays that are too many or nested too deeply, are
 * refused, too.
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
      const problem = error === null ? nestingProblem(value) : undefined
      if (error === null) done(problem === undefined ? null : badRequest(`the body ${problem}`), value)
      else done((error as { code?: string }).code === 'FST_ERR_CTP_EMPTY_JSON_BODY' ? error : notJson(text))
    }
    void parse(request, text, answered)
  })
}

/**
 * The error of a body that the parser refuses. Its own message does not say where the fault is, V8's does; that one
 * ends with the text and "is not valid JSON", which is said already.
 */
function notJson(text: string): Error {
  try {
    JSON.parse(text)
  } catch (error) {
    return badRequest(
      `the body is not valid JSON: ${(error as Error).message.replace(/,[^,]*is not valid JSON$/s, '')}`,
    )
  }
  return badRequest('the body is not valid JSON here: it has the key "__proto__", or "constructor" with "prototype"')
}
