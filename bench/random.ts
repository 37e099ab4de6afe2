/** Times random numbers against JAX, draw by draw in turns on one machine. docs/bench.md explains the output. */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/format.js'
import * as np from '../src/engine/api/np.js'
import * as random from '../src/engine/api/random.js'
import type { Tensor } from '../src/engine/api/tensor.js'
import { at, checkMachine, python } from './peers.js'
import { Contestant } from './protocol.js'
import { median } from './results.js'

interface Drawn {
  seconds: number
  /** A thousand of the values, evenly spaced. */
  values: number[]
}

const ROWS = 200

/** The same draws as in peers/jax_random.py. */
const draws: { [name: string]: { size: number; draw: (key: Tensor, size: number) => Tensor } } = {
  bits: { size: 1e7, draw: (key, size) => random.bits(key, size) },
  uniform: { size: 1e7, draw: (key, size) => random.uniform(key, size) },
  normal: { size: 1e7, draw: (key, size) => random.normal(key, size) },
  bernoulli: { size: 1e7, draw: (key, size) => random.bernoulli(key, 0.3, size) },
  randint: { size: 1e7, draw: (key, size) => random.randint(key, size, 0, 100) },
  truncatedNormal: { size: 1e7, draw: (key, size) => random.truncatedNormal(key, -2, 2, size) },
  gumbel: { size: 1e7, draw: (key, size) => random.gumbel(key, size) },
  categorical: {
    size: 1e6,
    draw: (key, size) =>
      random.categorical(key, np.reshape(np.sin(np.astype(np.arange(size), 'float32')), [ROWS, size / ROWS])),
  },
  permutation: { size: 1e6, draw: (key, size) => random.permutation(key, size) },
}

const { values: options, positionals } = parseArgs({
  options: { turns: { type: 'string', default: '5' } },
  allowPositionals: true,
})
const withPeer = checkMachine()
const peer = withPeer ? (await Contestant.start('jax', python, [at('peers/jax_random.py')])).contestant : null
const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(0)} ms`

async function timed(name: string): Promise<Drawn> {
  const { size, draw } = draws[name]
  const start = performance.now()
  const { data } = await draw(random.key(0), size).data()
  const seconds = (performance.now() - start) / 1000
  const step = Math.max(1, Math.floor(data.length / 1000))
  return { seconds, values: Array.from({ length: Math.ceil(data.length / step) }, (_, i) => Number(data[i * step])) }
}

const rows: string[][] = []
for (const name of positionals.length > 0 ? positionals : Object.keys(draws)) {
  const [ours, theirs]: [Drawn[], Drawn[]] = [[], []]
  for (let turn = 0; turn <= Number(options.turns); turn++) {
    if (peer) theirs.push(await peer.ask<Drawn>(`${name} ${draws[name].size}`))
    ours.push(await timed(name))
  }
  const later = (drawn: readonly Drawn[]): number => median(drawn.slice(1).map(d => d.seconds))
  const difference = Math.max(
    ...(theirs[0]?.values ?? []).map((v, i) => Math.abs(v - ours[0].values[i]) / Math.max(1, Math.abs(v))),
  )
  rows.push([
    `${name} ${draws[name].size.toExponential()}`,
    milliseconds(ours[0].seconds),
    milliseconds(later(ours)),
    ...(peer
      ? [
          milliseconds(theirs[0].seconds),
          milliseconds(later(theirs)),
          (ours[0].seconds / theirs[0].seconds).toFixed(2),
          (later(ours) / later(theirs)).toFixed(2),
          difference.toExponential(0),
        ]
      : []),
  ])
}
await peer?.quit()
const load = loadavg().map(x => x.toFixed(1))
console.log(
  `load average ${load.join(' ')}\n${formatTable([
    ['', 'first', 'later', ...(peer ? ['jax first', 'jax later', 'first / jax', 'later / jax', 'difference'] : [])],
    ...rows,
  ])}`,
)
