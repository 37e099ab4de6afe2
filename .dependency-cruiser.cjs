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
  'plan',
  'open',
  'serve',
  'cli',
]
// Sources that run in a browser. They import nothing of Node, and of the sources only each other.
const browserSafe = [
  '^src/(base|engine|text|nn|model|metrics)/',
  '^src/infer/',
  '^src/checkpoint/(byte-source|url-source|file-reader|read-rows|format|json|layout|quantize|weights|stored-tensor|safetensors-(header|read)|experts/(from-weights|source|ranged|reads|remote-ranges|tensors))\\.ts$',
  '^src/checkpoint/torch/(read|zip|gather|pickle|state-dict|find-state-dict)\\.ts$',
  '^src/checkpoint/names/(hf|hf-(activation|config|embeddings|families|files|generation|heads|json|names|settings|sizes|special-ids|weights))\\.ts$',
  '^src/(engine|model|text|portable|browser)\\.ts$',
]
// The exceptions: what package.json's "imports" map to in Node and to a web.ts in a browser, "#onnx-sessions", "#pjrt" and "#mpi".
const nodeOnly =
  '^src/engine/compile/(collect-garbage|cache-folder|koffi|shared-library|onnx/(node|load-runtime)|xla/(node|cache|cuda|find-plugin)|processes/(node|mpi/[^/]+))\\.ts$'
const nodeSessions = '^src/engine/compile/onnx/(node|load-runtime)\\.ts$'
// The tables of contents: index.ts and one file for each subpath of the package.
const contents = '^src/[^/]+\\.ts$'
// It hands the package's modules to a user's configuration file, which imports them by the package's name.
const packageModules = '^src/cli/shared/package-modules\\.ts$'
// The process of a served model, and one of several processes, choose how many threads compute.
const ownProcess = '^src/(serve/models/process-entry|engine/compile/processes/node)\\.ts$'
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
      name: 'cli: what commands share must not import a command',
      severity: 'error',
      from: { path: '^src/cli/shared/' },
      to: { path: '^src/cli/', pathNot: '^src/cli/shared/' },
    },
    {
      name: 'cli: a command folder imports only from itself and from shared',
      severity: 'error',
      from: { path: '^src/cli/([^/]+)/', pathNot: '^src/cli/shared/' },
      to: { path: '^src/cli/', pathNot: '^src/cli/($1|shared)/' },
    },
    {
      name: 'browser-safe: no node modules',
      severity: 'error',
      from: { path: browserSafe, pathNot: nodeOnly },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'browser-safe: only sources that are browser-safe',
      severity: 'error',
      from: { path: browserSafe, pathNot: nodeOnly },
      to: { path: '^src/', pathNot: browserSafe },
    },
    {
      name: 'browser-safe: onnxruntime-node only by way of #onnx-sessions',
      severity: 'error',
      from: { path: '^src/', pathNot: [nodeSessions, '^src/engine/api/engine\\.ts$', '^src/index\\.ts$', ownProcess] },
      to: { path: nodeSessions },
    },
    {
      name: 'tables of contents: no source imports from one',
      severity: 'error',
      from: { path: '^src/', pathNot: [contents, packageModules] },
      to: { path: contents },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '\\.test\\.ts$' },
    tsPreCompilationDeps: true,
  },
}
