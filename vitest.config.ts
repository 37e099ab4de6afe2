import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  // As "paths" in tsconfig.json: tests run the sources, and package.json points to the build.
  resolve: {
    alias: { '#onnx-sessions': fileURLToPath(new URL('src/engine/compile/onnx/node.ts', import.meta.url)) },
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
