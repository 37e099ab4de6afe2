import type { HostTensor } from '../../../base/host-tensor.js'

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
]

/**
 * Threefry-2x32 with 20 rounds: a keyed permutation of 64-bit counters, element by element.
 * Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011), section 3.3.
 */
export function threefry2x32(
  key0: HostTensor,
  key1: HostTensor,
  count0: HostTensor,
  count1: HostTensor,
): [HostTensor, HostTensor] {
  const [y0, y1] = [new Uint32Array(key0.data.length), new Uint32Array(key0.data.length)]
  for (let i = 0; i < y0.length; i++) {
    const k0 = Number(key0.data[i])
    const k1 = Number(key1.data[i])
    const keys = [k0, k1, (k0 ^ k1 ^ 0x1bd11bda) >>> 0]
    let x0 = (Number(count0.data[i]) + k0) >>> 0
    let x1 = (Number(count1.data[i]) + k1) >>> 0
    for (let block = 0; block < 5; block++) {
      for (const r of rotations[block % 2]) {
        x0 = (x0 + x1) >>> 0
        x1 = (((x1 << r) | (x1 >>> (32 - r))) ^ x0) >>> 0
      }
      x0 = (x0 + keys[(block + 1) % 3]) >>> 0
      x1 = (x1 + keys[(block + 2) % 3] + block + 1) >>> 0
    }
    y0[i] = x0
    y1[i] = x1
  }
  return [
    { ...key0, data: y0 },
    { ...key0, data: y1 },
  ]
}
