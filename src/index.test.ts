import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import * as data from './data.js'
import * as engine from './engine.js'
import * as root from './index.js'
import * as model from './model.js'
import * as text from './text.js'
import * as train from './train.js'

const folder = fileURLToPath(new URL('.', import.meta.url))
const { exports } = JSON.parse(readFileSync(`${folder}/../package.json`, 'utf8')) as { exports: object }
const contents = readdirSync(folder).filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))

describe('the tables of contents', () => {
  it.each(contents)('%s contains nothing but re-exports', name => {
    const source = readFileSync(folder + name, 'utf8')
    const { statements } = ts.createSourceFile(name, source, ts.ScriptTarget.Latest)
    expect(statements.length).toBeGreaterThan(0)
    const others = statements.filter(s => !ts.isExportDeclaration(s) || s.moduleSpecifier === undefined)
    expect(others.map(s => source.slice(s.pos, s.end))).toEqual([])
  })

  it('each but portable.ts, which two of them share, is a subpath of the package', () => {
    const subpaths = Object.keys(exports).map(key => `${key.slice(2) || 'index'}.ts`)
    expect(contents.filter(name => !subpaths.includes(name))).toEqual(['portable.ts'])
  })

  // `export *` silently drops a name that two files export with different meanings.
  it.each(Object.entries({ engine, model, text, data, train }))(
    'the root has every name of switchyard-ml/%s',
    (_, part: Record<string, unknown>) => {
      for (const [key, value] of Object.entries(part)) expect((root as Record<string, unknown>)[key], key).toBe(value)
    },
  )
})
