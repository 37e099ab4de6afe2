import { builtinModules } from 'node:module'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import type { Metafile } from 'esbuild'

export interface Bundle {
  /** Names and contents of the scripts. */
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly metafile: Metafile
}

/** Bundles the program `text` for browsers. Its imports are looked up in the node_modules of `folder`. */
export async function bundle(text: string, folder: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: text, resolveDir: folder, loader: 'ts' },
    // A user's project does not have our tsconfig.json, whose "paths" lead to the sources.
    tsconfigRaw: '{}',
    // `foreignTo` reports everything that does not belong here.
    external: [...builtinModules, 'node:*', '*.node'],
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    outdir: '/',
    entryNames: 'main',
    metafile: true,
    write: false,
    logLevel: 'silent',
  })
  return { files: new Map(outputFiles.map(file => [file.path.slice(1), file.contents])), metafile }
}

/**
 * The modules of a bundle that must not be in a browser's: Node modules, modules that esbuild left empty or external,
 * onnxruntime-node.
 */
export function foreignTo({ metafile }: Bundle): string[] {
  const inputs = Object.keys(metafile.inputs).filter(path => /\(disabled\)|onnxruntime-node/.test(path))
  const outside = Object.values(metafile.outputs).flatMap(o => o.imports.filter(i => i.external).map(i => i.path))
  return [...new Set([...inputs, ...outside])]
}

/** The scripts' sizes: those that are loaded at once, and those that are loaded with the first session. */
export function sizesOf({ files, metafile }: Bundle): string {
  const atOnce = new Set(['main.js'])
  for (const name of atOnce)
    for (const { path, kind } of outputOf(metafile, name).imports)
      if (kind === 'import-statement') atOnce.add(path.split('/').at(-1)!)
  const sum = (some: [string, Uint8Array][]): string => {
    const [raw, zipped] = some.reduce(([n, z], [, bytes]) => [n + bytes.length, z + gzipSync(bytes).length], [0, 0])
    return `${Math.ceil(raw / 1024)} KiB minified, ${Math.ceil(zipped / 1024)} KiB gzipped`
  }
  const all = [...files]
  return `${sum(all.filter(([name]) => atOnce.has(name)))}; loaded later: ${sum(all.filter(([name]) => !atOnce.has(name)))}`
}

const outputOf = (metafile: Metafile, name: string): Metafile['outputs'][string] =>
  Object.entries(metafile.outputs).find(([path]) => path.split('/').at(-1) === name)![1]
