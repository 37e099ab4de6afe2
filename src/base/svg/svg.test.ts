import { describe, expect, it } from 'vitest'
import { axes, niceAxis } from './axes.js'
import { element, label } from './element.js'
import { binned, histograms } from './histogram.js'

describe('niceAxis', () => {
  it('has round ticks that enclose the values', () => {
    expect(niceAxis(0, 97)).toEqual({ from: 0, to: 100, ticks: [0, 20, 40, 60, 80, 100] })
    expect(niceAxis(0.11, 0.34).ticks).toEqual([0.1, 0.15, 0.2, 0.25, 0.3, 0.35])
    expect(niceAxis(0, 1.2).ticks).toEqual([0, 0.5, 1, 1.5])
    expect(niceAxis(3, 3).ticks.length).toBeGreaterThan(1)
  })
})

describe('SVG elements', () => {
  it('escape texts and round numbers', () => {
    expect(element('rect', { x: 1 / 3, fill: 'a"b', y: undefined })).toBe('<rect x="0.33" fill="a&quot;b"/>')
    expect(label('a < b & \u0001', 1, 2)).toBe('<text x="1" y="2">a &lt; b &amp; \ufffd</text>')
  })

  it('name both axes', () => {
    const area = { left: 10, top: 10, width: 100, height: 50 }
    const drawn = axes(area, niceAxis(0, 1000), niceAxis(0, 1), { x: 'steps', y: 'loss' })
    for (const text of ['>1,000<', '>0.4<', '>steps<', '>loss<']) expect(drawn).toContain(text)
  })
})

describe('histograms', () => {
  it('count every value in one bin', () => {
    expect(binned([1, 1, 3])).toEqual({ counts: [0, 2, 0, 1], width: 1 })
    expect(binned([0, 119])).toEqual({ counts: [1, ...new Array<number>(58).fill(0), 1], width: 2 })
  })

  it('draw a bar for each bin that is not empty, and the mark', () => {
    const svg = histograms(
      [{ title: 'inputs', values: [5, 5, 7], color: '#123456', mark: { at: 10, text: 'row' } }],
      'tokens',
    )
    expect(svg.match(/fill="#123456"/g)?.length).toBe(2)
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" .*>row<.*<\/svg>\n$/s)
    expect(histograms([{ title: 'none', values: [], color: '#123456' }], 'tokens')).toContain('none')
  })
})
