import { formatCount } from '../../base/format.js'
import { heatMap } from '../../infer/paging/heat-map.js'
import { countTokens } from '../../infer/paging/trace.js'
import { checkPictureFile, writeOutput } from '../shared/output-file.js'
import { withTrace } from './open-trace.js'

/** Draws how many tokens each expert got in a trace. Returns what was drawn, in a line. */
export async function drawHeat(path: string, out: string): Promise<string> {
  checkPictureFile('--out', out)
  const { svg, tokens } = await withTrace(path, async ({ model, pages, passes }) => {
    const counts = new Float64Array(pages.count)
    let sum = 0
    for await (const pass of passes) {
      countTokens(pass, pages, counts)
      sum += pass.tokens.length
    }
    return { svg: heatMap(model, pages, counts), tokens: sum }
  })
  await writeOutput(out, svg)
  return `${out}: the experts that ${formatCount(tokens)} tokens met`
}
