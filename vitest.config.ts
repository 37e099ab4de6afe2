import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  // As "paths" in tsconfig.json: tests run the sources, and package.json points to the build.
  resolve: {
    alias: { '#onnx-sessions': fileURLToPath(new URL('src/engine/compile/onnx/node.ts', import.meta.url)) },
  },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './test/summary-reporter.ts'],
  },
})
