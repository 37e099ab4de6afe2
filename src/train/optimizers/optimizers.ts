import { unreachable } from '../../base/errors.js'
import { adafactor } from './adafactor.js'
import type { AdafactorOptions } from './adafactor.js'
import { adamW } from './adamw.js'
import type { AdamWOptions } from './adamw.js'
import type { ParameterAxes } from './factoring.js'
import type { Optimizer } from './optimizer.js'

/** An optimizer by name, with everything that it can be told. A new one adds a member here and a case below. */
export type OptimizerConfig =
  ({ kind: 'adamW' } & Required<AdamWOptions>) | ({ kind: 'adafactor' } & Required<AdafactorOptions>)

/** Makes the configured optimizer for the declared parameters. */
export function makeOptimizer(config: OptimizerConfig, specs: readonly ParameterAxes[]): Optimizer {
  switch (config.kind) {
    case 'adamW':
      return adamW(config)
    case 'adafactor':
      return adafactor(specs, config)
    default:
      return unreachable(config)
  }
}
