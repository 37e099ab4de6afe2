import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { globSync } from 'tinyglobby'
import { defineConfig } from 'vitest/config'
import { BaseSequencer } from 'vitest/node'

const root = fileURLToPath(new URL('.', import.meta.url))
const source = (name: string): string => `${root}src/${name}.ts`

const testFiles = ['src/**/*.test.ts', 'test/**/*.test.ts']
const filesWith = (pattern: RegExp): string[] =>
  globSync(testFiles, { cwd: root }).filter(file => pattern.test(readFileSync(root + file, 'utf8')))

/** Test files that run the built package, in a process of its own or in theirs. */
const ofPackage = filesWith(/e2e\/(called-)?cli\.js|'\.\/(called-)?cli\.js'|inject\('packageFolder'\)/)
/** Test files that replace modules or the clock, or measure their process's memory. Others leave it as it was. */
const ofProcess = filesWith(
  /vi\.(mock|doMock|stubGlobal|useFakeTimers)\b|process\.memoryUsage\b|setFlagsFromString/,
).filter(file => !ofPackage.includes(file))

/** Runs the files that share a process last, one after another: a worker is reused only for the next file. */
class Sequencer extends BaseSequencer {
  override async sort(files: Parameters<BaseSequencer['sort']>[0]): ReturnType<BaseSequencer['sort']> {
    const sorted = await super.sort(files)
    const isShared = ({ project }: (typeof files)[number]): boolean => project.config.isolate === false
    return [...sorted.filter(file => !isShared(file)), ...sorted.filter(isShared)]
  }
}

export default defineConfig({
  // As "paths" in tsconfig.json: tests run the sources, while package.json points to the build.
  resolve: {
    alias: [
      { find: '#onnx-sessions', replacement: source('engine/compile/onnx/node') },
      { find: '#mpi', replacement: source('engine/compile/processes/node') },
      { find: '#pjrt', replacement: source('engine/compile/xla/node') },
      { find: /^switchyard-ml\/(\w+)$/, replacement: source('$1') },
    ],
  },
  test: {
    // A test may be slow on a busy machine. These only end one that waits for ever.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './test/summary-reporter.ts'],
    sequence: { sequencer: Sequencer },
    projects: [
      {
        extends: true,
        test: {
          name: 'package',
          include: ofPackage,
          globalSetup: './test/e2e/package-build.ts',
          // The built package runs as Node loads it: not transformed, and without the aliases above.
          server: { deps: { external: [/\/switchyard-package-[^/]+\/dist\//] } },
        },
      },
      {
        extends: true,
        test: { name: 'own process', include: ofProcess },
      },
      {
        extends: true,
        // Importing the library takes 0.3 to 1 s of CPU in each new process.
        test: {
          name: 'shared process',
          include: testFiles,
          exclude: [...ofPackage, ...ofProcess],
          isolate: false,
          setupFiles: './test/fresh-state.ts',
        },
      },
    ],
  },
})
