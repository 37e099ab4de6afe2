/** An element of an SVG picture as text. Attributes with the value undefined are left out; texts are escaped. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  ...children: readonly string[]
): string {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? rounded(value) : escapeXml(value!)}"`)
    .join('')
  return children.length === 0 ? `<${name}${list}/>` : `<${name}${list}>${children.join('')}</${name}>`
}

/** A text at a position. `anchor` says which of its ends is there. */
export const label = (
  text: string,
  x: number,
  y: number,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
): string => element('text', { x, y, ...attributes }, escapeXml(text))

/** A complete picture: white, with a plain typeface, so that it looks the same in a browser and in a document. */
export const picture = (width: number, height: number, ...children: readonly string[]): string =>
  `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      'font-family': 'sans-serif',
      'font-size': 12,
      fill: '#222',
    },
    element('rect', { width, height, fill: '#fff' }),
    ...children,
  )}\n`

/** Colours of series that are told apart with the common kinds of colour blindness (Okabe and Ito 2008). */
export const seriesColors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'] as const

const rounded = (value: number): string => String(Math.round(value * 100) / 100)

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

// XML 1.0 has no way to write most control characters.
const escapeXml = (text: string): string =>
  text.replaceAll(/[&<>"]/g, c => escapes[c]).replaceAll(/(?![\t\n\r])\p{Cc}/gu, '\ufffd')
