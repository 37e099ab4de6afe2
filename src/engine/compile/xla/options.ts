/** How the backend that compiles with XLA is made. */
export interface XlaOptions {
  /**
   * The PJRT plugin, a shared library. Default: SWITCHYARD_PJRT_PLUGIN, or one that pip has installed for devices of
   * this machine, a GPU's first (see `switchyard doctor`).
   */
  readonly plugin?: string
  /** The kind of devices, if several plugins are installed. Default: the best that the machine has. */
  readonly platform?: 'cpu' | 'cuda' | 'tpu'
  /** How many devices the plugin for CPUs has. Default: 1. */
  readonly cpuDevices?: number
  /**
   * The share of a GPU's memory that arrays may take, above 0 and at most 1. Default: XLA_CLIENT_MEM_FRACTION of the
   * environment, as in JAX, or what the plugin chooses (0.75).
   */
  readonly memoryFraction?: number
  /**
   * Whether that share of a GPU's memory is taken at once. Otherwise it grows with the arrays, which is slower and lets
   * other programs use the GPU. Default: XLA_PYTHON_CLIENT_PREALLOCATE of the environment, as in JAX, or true.
   */
  readonly preallocate?: boolean
  /** The folder for compiled programs, which later processes load; false: none. Default: `xla` in the cache folder. */
  readonly cache?: string | false
}
