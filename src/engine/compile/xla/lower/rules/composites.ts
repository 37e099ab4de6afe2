import type { Lowerings } from './rule.js'

/** The primitives that apply a program: a private function, which equal programs share. XLA inlines it. */
export const programRules = {
  call: ({ block, module }, inputs, { name, program }) => module.call(block, name, program, inputs),
  linearCall: ({ block, module }, inputs, { name, program }) => module.call(block, name, program, inputs),
  composite: ({ block, module }, inputs, { name, program }) => module.call(block, name, program, inputs),
} satisfies Lowerings
