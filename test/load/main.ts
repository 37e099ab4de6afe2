/** The load test: see README.md. Prints a table. Exit code 1: an answer is wrong or lost, or something stays behind. */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { formatTable } from '../../src/base/format.js'
import { aborted, concurrent, flatMemory, killed, soloAnswers } from './phases.js'
import type { Found } from './phases.js'
import { requests } from './requests.js'
import { LoadedServer } from './server.js'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '60' },
    requests: { type: 'string', default: '10000' },
    leaving: { type: 'string', default: '1000' },
  },
})
const [clients, seconds, count, leaving] = [values.clients, values.seconds, values.requests, values.leaving].map(Number)

const server = await LoadedServer.start('g2p')
const { url } = server
const found: Found[] = []
try {
  const solo = await soloAnswers(url, requests)
  const phases = [
    () => concurrent(url, solo, { clients, seconds }),
    () => flatMemory(url, solo, { count, memory: () => server.memory() }),
    () => aborted(url, requests, leaving),
    () => killed(url, solo, () => server.killModel()),
  ]
  for (const phase of phases) {
    found.push(await phase())
    console.log(`${formatTable(found.at(-1)!.rows)}\n`)
  }
} finally {
  const code = await server.stop()
  const problems = [...found.flatMap(each => each.problems), ...(code === 0 ? [] : [`the server ended with ${code}`])]
  for (const problem of problems) console.error(`wrong: ${problem}`)
  console.log(
    `${problems.length === 0 ? 'all is right' : 'something is wrong'}; load average ${loadavg()[0].toFixed(1)}`,
  )
  process.exitCode = problems.length === 0 ? 0 : 1
}
