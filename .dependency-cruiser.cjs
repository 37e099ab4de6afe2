// The design's list of layers: a file imports only from its own folder or from folders above it in this list.
const layers = [
  'base',
  'engine/program',
  'engine/transform',
  'engine/compile',
  'engine/api',
  'text',
  'nn',
  'model',
  'metrics',
  'data',
  'checkpoint',
  'infer',
  'train',
  'verify',
  'config',
  'open',
  'cli',
]
const browserSafe = '^src/(base|engine/(program|transform|api)|text|nn|model|metrics)/|^src/engine/compile/[^/]+$'
const path = names => `^src/(${names.join('|')})/`

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...layers.slice(0, -1).map((layer, i) => ({
      name: `layers: ${layer} must not import from below`,
      severity: 'error',
      from: { path: path([layer]) },
      to: { path: path(layers.slice(i + 1)) },
    })),
    {
      name: 'browser-safe: no node modules',
      severity: 'error',
      from: { path: browserSafe, pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '\\.test\\.ts$' },
    tsPreCompilationDeps: true,
  },
}
