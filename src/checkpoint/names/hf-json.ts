import type { Json } from '../json.js'

/** A part of a JSON file that is written as it is, such as 1.0, which JSON.stringify would write as 1. */
export class JsonText {
  constructor(readonly text: string) {}
}

/** Settings for one of Hugging Face's JSON files. */
export type HfValue = Json | JsonText | readonly HfValue[] | { readonly [key: string]: HfValue }

/** A number as Python writes a float. transformers refuses 0 where it wants 0.0. */
export function float(value: number): JsonText {
  const text = JSON.stringify(value)
  return new JsonText(/^-?\d+$/.test(text) ? `${text}.0` : text)
}

/** Settings as the text of a file. */
export const hfText = (settings: { readonly [key: string]: HfValue }): string => `${textOf(settings, '\n')}\n`

/** Settings as plain values, whose floats are not distinguished from whole numbers. */
export const plainSettings = (settings: { readonly [key: string]: HfValue }): { readonly [key: string]: Json } =>
  JSON.parse(hfText(settings)) as { readonly [key: string]: Json }

/** A value as JSON. `newline` begins a line of the depth that the value is at. */
function textOf(value: HfValue, newline: string): string {
  if (value instanceof JsonText) return value.text
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const inner = `${newline}  `
  const items = Array.isArray(value)
    ? (value as readonly HfValue[]).map(item => textOf(item, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${textOf(item as HfValue, inner)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return items.length === 0 ? open + close : `${open}${inner}${items.join(`,${inner}`)}${newline}${close}`
}
