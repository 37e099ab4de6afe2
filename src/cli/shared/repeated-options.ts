import type { Command, Option } from 'commander'
import { ConfigError } from '../../base/errors.js'
import { collect, collectSettings } from './options.js'

const collects = (option: Option): boolean => option.parseArg === collect || option.parseArg === collectSettings

/**
 * Refuses an option of a command that has one value and is given twice. Commander would take the last value silently.
 */
export function refuseRepeated(command: Command): void {
  for (const option of command.options.filter(one => one.required && !collects(one))) {
    let isGiven = false
    command.on(`option:${option.name()}`, () => {
      if (isGiven) throw new ConfigError(`${option.long} is given twice, and has one value: leave one of the two out`)
      isGiven = true
    })
  }
}
