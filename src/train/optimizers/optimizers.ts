import { missingValue } from '../../base/custom.js'
import type { Custom } from '../../base/custom.js'
import { unreachable } from '../../base/errors.js'
import { adafactor } from './adafactor.js'
import type { AdafactorOptions } from './adafactor.js'
import { adamW } from './adamw.js'
import type { AdamWOptions } from './adamw.js'
import type { ParameterAxes } from './factoring.js'
import type { Optimizer } from './optimizer.js'

/**
 * Names an optimizer in a configuration, with all its options. A new built-in one adds a member here and a case below.
 */
export type OptimizerConfig =
  ({ kind: 'adamW' } & Required<AdamWOptions>) | ({ kind: 'adafactor' } & Required<AdafactorOptions>) | Custom

/** The optimizer that a configuration names, for the declared parameters. Throws a ConfigError for a custom one. */
export function makeOptimizer(config: OptimizerConfig, specs: readonly ParameterAxes[]): Optimizer {
  switch (config.kind) {
    case 'adamW':
      return adamW(config)
    case 'adafactor':
      return adafactor(specs, config)
    case 'custom':
      throw missingValue('optimizer', config.name)
    default:
      return unreachable(config)
  }
}
