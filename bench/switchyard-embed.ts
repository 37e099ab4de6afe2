/**
 * Switchyard as a contestant: vectors of texts, by commands on stdin. Arguments: the model's folder, a file of texts.
 */
import { readFileSync } from 'node:fs'
import { openEmbedder } from '../src/open/embedding-model.js'
import { serve } from './protocol.js'

const [folder, file] = process.argv.slice(2)
const texts = JSON.parse(readFileSync(file, 'utf8')) as string[]
const begin = performance.now()
const embedder = await openEmbedder(folder)
const loadSeconds = (performance.now() - begin) / 1000

await serve(
  { name: 'switchyard', loadSeconds },
  {
    embed: async count => {
      const [start, cpu] = [performance.now(), process.cpuUsage()]
      const vectors = await embedder.embed(texts.slice(0, count))
      const { user, system } = process.cpuUsage(cpu)
      return {
        seconds: (performance.now() - start) / 1000,
        cpuSeconds: (user + system) / 1e6,
        vectors: vectors.map(vector => [...vector]),
      }
    },
  },
)
