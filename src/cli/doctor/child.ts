import { failureOf } from './in-child.js'
import { libraries } from './libraries.js'

// The process in which `doctor` tries a native library: see `inChild`, which starts it.
const [kind, path] = process.argv.slice(2) as [keyof typeof libraries, string]
const answer = await libraries[kind](path).catch(failureOf)
process.send!(answer, () => process.exit())
