/** 1571327875360 -> "1,571,327,875,360". */
export const formatCount = (n: number | bigint): string => n.toLocaleString('en-US')

/** 1, 'step' -> "1 step"; 1200, 'step' -> "1,200 steps". */
export const countOf = (n: number, noun: string): string => `${formatCount(n)} ${noun}${n === 1 ? '' : 's'}`

/** Bytes with a binary unit: 3221225472 -> "3.00 GiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(2)} ${units[unit]}`
}

/** A duration in seconds for a person: 75 -> "1m15s". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  const s = Math.round(seconds)
  if (s < 60) return `${s}s`
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s`
  return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`
}

/**
 * A table as text with aligned columns. Numbers are right-aligned, except in a column that has texts as well below the
 * first row: there they are texts, such as answers.
 */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))
  const numeric = (cell: string): boolean => /^[-+]?[\d,.]+(e[-+]?\d+)?%?$/i.test(cell)
  const isText = (cell: string): boolean => /[\p{L}\p{N}]/u.test(cell) && !numeric(cell)
  const hasTexts = widths.map((_, column) => rows.slice(1).some(row => isText(row[column])))
  return rows
    .map(row =>
      row
        .map((cell, i) => (numeric(cell) && !hasTexts[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Units of sizes, by their names in lower case. */
const units: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** Reads a size with its unit, such as 4GB (4e9 bytes) or 512MiB (2^29 bytes); undefined if the text is none, or 0. */
export function parseBytes(text: string): number | undefined {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b)\s*$/i.exec(text) ?? []
  const bytes = Math.floor(Number(number) * (units[unit?.toLowerCase()] ?? NaN))
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
}
