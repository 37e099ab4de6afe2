import { sep } from 'node:path'
import { describe, expect, it } from 'vitest'
import { directInvocation, invocation } from './invocation.js'

const path = (text: string): string => text.replaceAll('/', sep)

describe('the command in messages', () => {
  it.each([
    ['in the clone', '/home/a/switchyard', '/home/a/switchyard', 'npx switchyard'],
    ['in a folder of the clone', '/home/a/switchyard', '/home/a/switchyard/runs', 'npx switchyard'],
    ['outside of the clone', '/home/a/switchyard', '/home/a/other', 'node /home/a/switchyard/bin/switchyard.js'],
    [
      'in a folder beside the clone',
      '/home/a/switchyard',
      '/home/a/switchyard-2',
      'node /home/a/switchyard/bin/switchyard.js',
    ],
    ['in a project', '/home/a/app/node_modules/switchyard-ml', '/home/a/app/data', 'npx switchyard'],
    ['installed globally', '/usr/lib/node_modules/switchyard-ml', '/home/a', 'switchyard'],
    ['from the cache of npx', '/home/a/.npm/_npx/1f/node_modules/switchyard-ml', '/home/a', 'npx switchyard-ml'],
  ])('%s', (_, folder, cwd, expected) => {
    expect(invocation(path(folder), path(cwd))).toBe(path(expected))
  })
})

it.each([
  ['in the clone', '/home/a/switchyard', '/home/a/switchyard', 'node bin/switchyard.js'],
  ['in a folder of the clone', '/home/a/switchyard', '/home/a/switchyard/runs', 'node ../bin/switchyard.js'],
  ['elsewhere', '/home/a/switchyard', '/data', 'node /home/a/switchyard/bin/switchyard.js'],
  [
    'in a project',
    '/home/a/app/node_modules/switchyard-ml',
    '/home/a/app',
    'node node_modules/switchyard-ml/bin/switchyard.js',
  ],
  ['installed globally', '/usr/lib/node_modules/switchyard-ml', '/home/a', 'switchyard'],
])('the command without npx: %s', (_, folder, cwd, expected) => {
  expect(directInvocation(path(folder), path(cwd))).toBe(path(expected))
})
