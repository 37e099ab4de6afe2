import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const src = resolve(import.meta.dirname, '../../src')
const all = readdirSync(src, { recursive: true, encoding: 'utf8' })
const readmes = all.filter(path => basename(path) === 'README.md')
const known = new Set(all.map(path => basename(path)))

/** The names of files and folders in backticks. */
const namesIn = (readme: string): string[] =>
  [...readFileSync(join(src, readme), 'utf8').matchAll(/`([\w./*-]+(?:\.ts|\/))`/g)].map(([, name]) => name)
/** A name with * stands for several files. */
const matches = (pattern: string, name: string): boolean =>
  new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(name)

describe('the README of a folder of src', () => {
  // A user's own file, and a folder of the hub's cache.
  const elsewhere = ['switchyard.config.ts', 'refs/']

  it.each(readmes)('names no file that is gone: %s', readme => {
    const gone = namesIn(readme).filter(name => {
      const places = [dirname(readme), '.', '..'].map(place => join(src, place, name))
      const isFile = name.endsWith('.ts') && (name.includes('*') || known.has(basename(name)))
      return !elsewhere.includes(name) && !isFile && !places.some(existsSync)
    })
    expect(gone).toEqual([])
  })

  it.each(readmes.filter(readme => dirname(dirname(readme)) === '.'))('names every file beside it: %s', readme => {
    const names = namesIn(readme).map(name => name.replace(/\/$/, ''))
    const text = readFileSync(join(src, readme), 'utf8')
    const beside = readdirSync(join(src, dirname(readme)), { withFileTypes: true })
      .filter(entry => entry.isDirectory() || /(?<!\.test)\.ts$/.test(entry.name))
      .map(entry => entry.name)
    const unnamed = beside.filter(
      name =>
        !names.some(pattern => matches(pattern, name)) && !text.includes(`\`${name}\``) && !text.includes(`${name}/`),
    )
    expect(unnamed).toEqual([])
  })
})
