/** Makes docs/numpy.md, and fails if the file differs: `npx vitest run test/docs/numpy-table.test.ts -u` writes it. */
import { readFileSync } from 'node:fs'
import { format, resolveConfig } from 'prettier'
import { expect, it } from 'vitest'
import * as np from '../../src/engine/api/np.js'
import { absent, differences, names } from './numpy-names.js'

/** The functions of NumPy 2.4 and jax.numpy 0.10, one a line. */
const numpyNames = readFileSync(new URL('../fixtures/numpy-names.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n')
const ours = new Set(Object.keys(np))
const camelCase = (name: string): string => name.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase())
const ourName = (name: string): string => names[name] ?? camelCase(name)

function table(): string {
  const rows = numpyNames.map(name => {
    if (!ours.has(ourName(name))) return `| \`${name}\` | | ${absent[name]} |`
    return `| \`${name}\` | \`${ourName(name)}\` | ${differences[name] ?? ''} |`
  })
  const named = new Set(numpyNames.map(ourName))
  const others = [...ours].filter(name => !named.has(name)).sort()
  const supported = numpyNames.filter(name => ours.has(ourName(name))).length
  return `# NumPy's functions

All functions of NumPy 2.4 and jax.numpy 0.10, with our name in \`np\` and what differs, or why it is not there and what to use.
${supported} of ${numpyNames.length} are there. Everywhere: names are in camelCase; \`axis\`, \`keepdims\` and other keyword
arguments are in an object at the end, \`np.sum(x, { axis: 1, keepdims: true })\`, and an option that a function does not have is
an error; the axis of a reduction may be given alone, \`np.sum(x, 1)\`; numbers and nested lists are taken wherever an array is; there are
no \`out\`, \`where\` and \`order\` arguments; dtypes have at most 32 bits but int64; arrays never change. Each function's
documentation is beside it in the editor, and in \`src/engine/api/np/\`.

| NumPy, JAX | here | what differs, or what to use |
| --- | --- | --- |
${rows.join('\n')}

Ours alone: ${others.map(name => `\`${name}\``).join(', ')}.

This page is made by \`test/docs/numpy-table.test.ts\`.
`
}

it('has each of our functions, and a reason for each that is not there', () => {
  expect(numpyNames.filter(name => !ours.has(ourName(name)) && absent[name] === undefined)).toEqual([])
  expect(numpyNames.filter(name => ours.has(ourName(name)) && absent[name] !== undefined)).toEqual([])
  const known = new Set(numpyNames)
  expect([names, differences, absent].flatMap(Object.keys).filter(name => !known.has(name))).toEqual([])
  expect(Object.values(names).filter(name => !ours.has(name))).toEqual([])
  expect(Object.keys(differences).filter(name => !ours.has(ourName(name)))).toEqual([])
})

it('is docs/numpy.md', async () => {
  const page = new URL('../../docs/numpy.md', import.meta.url).pathname
  const text = await format(table(), { ...(await resolveConfig(page)), parser: 'markdown' })
  await expect(text).toMatchFileSnapshot(page)
})
