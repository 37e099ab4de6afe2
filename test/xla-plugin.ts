import { findPlugin } from '../src/engine/compile/xla/find-plugin.js'

/**
 * The PJRT plugin for tests of XLA. Without one they are skipped, unless REQUIRE_PJRT=true, which .ci/run sets once it
 * has installed a plugin: then its absence is a failure.
 */
export const xlaPlugin = findPlugin('cpu')?.path

// Commands that a test runs in another folder find the same plugin, also if it is in this folder's .venv.
if (xlaPlugin) process.env.SWITCHYARD_PJRT_PLUGIN = xlaPlugin
else {
  const reason = 'no PJRT plugin was found: set SWITCHYARD_PJRT_PLUGIN, or pip install lammps-jax-pjrt-cpu'
  if (process.env.REQUIRE_PJRT === 'true') throw new Error(`REQUIRE_PJRT is set, but ${reason}`)
  console.log(`tests of XLA are skipped: ${reason}`)
}
