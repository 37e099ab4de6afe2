import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const isComment = (line: string): boolean => /^\s*(\/\*|\*|\/\/)/.test(line)

// prettier keeps code within 120 columns, but does not wrap comments.
it('comments are at most 120 columns wide', () => {
  const files = ['src', 'test', 'bench', 'examples'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts') && !/node_modules|dist/.test(file))
      .map(file => join(folder, file)),
  )
  const tooWide = files.flatMap(file =>
    readFileSync(resolve(root, file), 'utf8')
      .split('\n')
      .flatMap((line, i) => (line.length > 120 && isComment(line) ? [`${file}:${i + 1}`] : [])),
  )
  expect(files.length).toBeGreaterThan(100)
  expect(tooWide).toEqual([])
})
