import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'

const assets = fileURLToPath(new URL('../../../assets/page/', import.meta.url))
/** The page's modules. They are TypeScript in the sources, so only a built package serves them. */
const client = fileURLToPath(new URL('client/', import.meta.url))

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
}

/** The page loads nothing from other hosts, and no other site may frame it. */
const POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** Serves the page at `/`, and its style and modules below `/page/`. The files are read once. */
export async function addPage(app: FastifyInstance): Promise<void> {
  for (const folder of [assets, client]) {
    for (const name of await readdir(folder)) {
      const type = types[extname(name)]
      if (type === undefined) continue
      const content = await readFile(folder + name)
      const path = name === 'index.html' ? '/' : `/page/${name}`
      app.get(path, { config: { endpoint: path } }, (_, reply) =>
        reply
          .header('content-security-policy', POLICY)
          .header('x-content-type-options', 'nosniff')
          .header('cache-control', 'no-cache')
          .type(type)
          .send(content),
      )
    }
  }
}
