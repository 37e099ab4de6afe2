import { Command, InvalidArgumentError } from 'commander'
import { parseBytes } from '../../base/format.js'
import { parseMesh } from '../../train/parallel/mesh-config.js'
import type { MeshConfig } from '../../train/parallel/mesh-config.js'
import { byteSize } from '../shared/byte-size.js'
import { collectSettings, wholeNumber } from '../shared/options.js'
import type { PlanOptions } from './planning.js'

export const planCommand = (): Command =>
  new Command('plan')
    .description(
      'predict what training a model on many devices takes: memory per device, communication, the time of a step, and the best mesh; nothing is allocated',
    )
    .argument(
      '<model>',
      'a preset such as switch-c-2048, a recipe or a task (also of your switchyard.config.ts), a run, a folder with a model, or the JSON file of a configuration',
    )
    .option(
      '--devices <count>',
      "how many devices (default: those of --mesh or of the configuration's train.mesh, else 1)",
      wholeNumber(1, 65_536),
    )
    .option(
      '--mesh <axes>',
      'predict exactly this mesh, such as data=2,expert=4 (default: every mesh is tried, and the best is shown)',
      mesh,
    )
    .option('--device <kind>', 'tpu-v3 (a core), tpu-v4, a100-40, a100-80, h100, h200, or cpu (this machine)', 'h100')
    .option('--memory <size>', 'the memory of a device, such as 80GB (default: as published)', byteSize)
    .option('--flops <number>', "a device's peak operations per second, such as 312T (default: as published)", flops)
    .option(
      '--interconnect <bandwidth>',
      'the speed between any two devices in one direction, such as 100GB/s (default: as published)',
      bandwidth,
    )
    .option('--set <path=value>', 'change a setting, such as train.rows=4096; may be given again', collectSettings, [])
    .option('--json', 'print the whole plan as JSON')
    .action(async (model: string, options: PlanOptions) => {
      const { plan } = await import('./planning.js')
      console.log(await plan(model, options))
    })

/** Reads a mesh: data=2,expert=4. */
function mesh(text: string): MeshConfig {
  const value = parseMesh(text)
  if (value === undefined)
    throw new InvalidArgumentError('expected the sizes of the axes data, expert and tensor, such as data=2,expert=4')
  return value
}

const factors: Readonly<Record<string, number>> = { '': 1, g: 1e9, t: 1e12, p: 1e15 }

/** Reads a number of operations per second: 312T, 312TFLOPS or 3.12e14. */
function flops(text: string): number {
  const [, number, unit] = /^\s*([\d.]+(?:e\+?\d+)?)\s*([gtp]?)(?:flops?(?:\/s)?)?\s*$/i.exec(text) ?? []
  const value = Number(number) * (factors[unit?.toLowerCase()] ?? NaN)
  if (!(value > 0)) throw new InvalidArgumentError('expected operations per second, such as 312T or 3.12e14')
  return value
}

/** Reads a bandwidth: 100GB/s. */
function bandwidth(text: string): number {
  const value = parseBytes(text.replace(/\/s\s*$/i, ''))
  if (value === undefined) throw new InvalidArgumentError('expected bytes per second with their unit, such as 100GB/s')
  return value
}
