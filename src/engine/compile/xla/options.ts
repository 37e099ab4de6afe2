/** How the backend that compiles with XLA is made. */
export interface XlaOptions {
  /**
   * The PJRT plugin, a shared library. Default: SWITCHYARD_PJRT_PLUGIN, or one that pip has installed (see
   * `switchyard doctor`).
   */
  readonly plugin?: string
  /** How many devices the plugin for CPUs has. Default: 1. */
  readonly cpuDevices?: number
  /** The folder for compiled programs, which later processes load; false: none. Default: `xla` in the cache folder. */
  readonly cache?: string | false
}
