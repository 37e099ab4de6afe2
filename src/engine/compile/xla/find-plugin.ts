/** The PJRT plugin to use: the path in the environment's variable SWITCHYARD_PJRT_PLUGIN. */
export const findPlugin = (env: NodeJS.ProcessEnv = process.env): string | undefined =>
  env.SWITCHYARD_PJRT_PLUGIN || undefined
