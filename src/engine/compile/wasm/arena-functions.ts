import type { PageArena } from './page-arenas.js'

type ArenaFunction = (...args: number[]) => void

/** Functions of WebAssembly modules on page arenas: a module for each set of sizes, and its instance on each arena. */
export class ArenaFunctions<S extends readonly number[]> {
  private readonly modules = new Map<string, WebAssembly.Module>()
  private readonly onArena = new WeakMap<PageArena, Map<string, ArenaFunction>>()

  /** `code` writes the module for some sizes: see `encodeModule`. */
  constructor(private readonly code: (...sizes: S) => Uint8Array<ArrayBuffer>) {}

  on(arena: PageArena, ...sizes: S): ArenaFunction {
    let functions = this.onArena.get(arena)
    if (!functions) this.onArena.set(arena, (functions = new Map<string, ArenaFunction>()))
    const key = sizes.join()
    let f = functions.get(key)
    if (!f) {
      let module = this.modules.get(key)
      if (!module) this.modules.set(key, (module = new WebAssembly.Module(this.code(...sizes))))
      f = new WebAssembly.Instance(module, { env: { memory: arena.memory } }).exports.loop as ArenaFunction
      functions.set(key, f)
    }
    return f
  }
}
