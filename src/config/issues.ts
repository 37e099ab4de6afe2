import type { z } from 'zod'
import { quote } from '../checkpoint/format.js'

type Issue = z.core.$ZodIssue

const types: Readonly<Record<string, string>> = {
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  string: 'text',
  object: 'a group of settings',
  array: 'a list',
}

/**
 * What zod found wrong with a value, as a sentence: `train.steps: must be 1 or more, got 0`. `parseConfig` describes
 * unknown settings itself.
 */
export function describeIssue(issue: Issue, value: unknown): string {
  const path = issue.path.map(String).join('.')
  const actual = valueAt(value, issue.path)
  return `${path || 'it'}: ${actual === undefined ? 'is missing' : `${rule(issue)}, got ${show(actual)}`}`
}

/** The part of a value at the path of an issue. */
export const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce((node, key) => (node as Record<PropertyKey, unknown>)[key], value)

/** What the value must be. The messages of refinements in schema.ts have this form already. */
function rule(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${types[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}`
    case 'invalid_union':
      // `custom` is written by a program that supplies a value; a person cannot choose it.
      return 'options' in issue && issue.options
        ? `must be ${oneOf(issue.options.filter(kind => kind !== 'custom'))}`
        : issue.message
    case 'too_small':
      if (issue.origin === 'string') return 'must not be empty'
      return issue.inclusive ? `must be ${issue.minimum} or more` : `must be more than ${issue.minimum}`
    case 'too_big':
      return issue.inclusive ? `must be ${issue.maximum} or less` : `must be less than ${issue.maximum}`
    default:
      return issue.message
  }
}

function oneOf(values: readonly unknown[]): string {
  const names = values.map(String)
  return [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' or ')
}

function show(value: unknown): string {
  if (typeof value === 'string') return quote(value)
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' && value !== null ? types.object : String(value)
}
