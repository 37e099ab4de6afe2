import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (name: string): string => fileURLToPath(new URL(`src/${name}.ts`, import.meta.url))

export default defineConfig({
  // As "paths" in tsconfig.json: tests run the sources, while package.json points to the build.
  resolve: {
    alias: [
      { find: '#onnx-sessions', replacement: source('engine/compile/onnx/node') },
      { find: /^switchyard-ml\/(\w+)$/, replacement: source('$1') },
    ],
  },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // A test may be slow on a busy machine. These only end one that waits for ever.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './test/summary-reporter.ts'],
  },
})
