/**
 * The part of vitest that the Backend suite needs, for a machine without it: the suite's bundle has this module in
 * place of vitest. Tests run one after another; each result is a line of JSON on the standard output.
 */
import { isDeepStrictEqual } from 'node:util'

type Body = () => unknown
interface Group {
  readonly name: string
  readonly before: Body[]
  readonly tests: { readonly name: string; readonly body: Body }[]
  readonly groups: Group[]
}

const newGroup = (name: string): Group => ({ name, before: [], tests: [], groups: [] })
const root = newGroup('')
let current = root

/** `%s` and `$name` in a title are replaced by the case, and by its name. */
const titleOf = (title: string, value: unknown): string =>
  title
    .replaceAll(/%[sj]/g, () => String(value))
    .replaceAll('$name', () => String((value as { name?: unknown } | null)?.name))

function group(name: string, body: Body): void {
  const outer = current
  const inner = newGroup(name)
  outer.groups.push(inner)
  current = inner
  body()
  current = outer
}

const test = (name: string, body: Body): void => void current.tests.push({ name, body })

/** As in vitest: a case that is a list gives its elements as arguments, the first of which is in the title. */
const eachWith =
  (declare: (name: string, body: Body) => void) =>
  (values: readonly unknown[]) =>
  (title: string, body: (...args: unknown[]) => unknown): void => {
    for (const value of values) {
      const args: unknown[] = Array.isArray(value) ? value : [value]
      declare(titleOf(title, args[0]), () => body(...args))
    }
  }

export const describe = Object.assign(group, { each: eachWith(group) })
export const it = Object.assign(test, { each: eachWith(test) })

export const beforeAll = (body: Body): void => void current.before.push(body)

/** The assertions that the suite makes. */
export function expect(actual: unknown, message = 'the value'): Record<string, (expected?: unknown) => void> {
  const assert = (isRight: boolean, what: string): void => {
    if (!isRight) throw new Error(`${message} is ${String(actual)}, must be ${what}`)
  }
  return {
    toBe: expected => assert(Object.is(actual, expected), String(expected)),
    toEqual: expected => assert(isDeepStrictEqual(actual, expected), JSON.stringify(expected)),
    toBeUndefined: () => assert(actual === undefined, 'undefined'),
    toBeGreaterThan: expected => assert((actual as number) > (expected as number), `above ${String(expected)}`),
    toThrow: expected => {
      let thrown: unknown
      try {
        ;(actual as Body)()
      } catch (error) {
        thrown = error
      }
      assert(thrown instanceof Error && thrown.message.includes(String(expected)), `an error with ${String(expected)}`)
    },
  }
}

/** Runs all tests that were declared. Prints `{ test, passed, seconds, error }` for each. */
export async function runTests(): Promise<void> {
  await runGroup(root, [])
}

async function runGroup({ name, before, tests, groups }: Group, path: readonly string[]): Promise<void> {
  const here = name === '' ? path : [...path, name]
  for (const body of before) await body()
  for (const { name: title, body } of tests) {
    const start = performance.now()
    let error: string | undefined
    try {
      await body()
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown)
    }
    const seconds = (performance.now() - start) / 1000
    console.log(JSON.stringify({ test: [...here, title].join(' > '), passed: error === undefined, seconds, error }))
  }
  for (const inner of groups) await runGroup(inner, here)
}
