import { resolve } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const source = resolve(root, 'src')

const { config } = ts.readConfigFile(resolve(root, 'tsconfig.json'), ts.sys.readFile)
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
const settings = { ...options, incremental: false, tsBuildInfoFile: undefined }
const [index, serve] = ['index.ts', 'serve.ts'].map(name => resolve(source, name))
const program = ts.createProgram([index, serve], settings)
const checker = program.getTypeChecker()

const original = (symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

const exportsOf = (module: ts.Symbol): ts.Symbol[] => checker.getExportsOfModule(module).map(original)

/** Whether a symbol is a type of this project, which a caller may have to name. */
const isOurType = (symbol: ts.Symbol): boolean =>
  (symbol.declarations ?? []).some(
    d =>
      d.getSourceFile().fileName.startsWith(source) &&
      (ts.isInterfaceDeclaration(d) || ts.isTypeAliasDeclaration(d) || ts.isClassDeclaration(d)),
  )

const isPrivate = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(m => m.kind === ts.SyntaxKind.PrivateKeyword)

/**
 * Calls `found` for each type of this project that a declaration names outside of function bodies and initial values.
 */
function visitTypes(node: ts.Node, found: (symbol: ts.Symbol) => void): void {
  if (ts.isTypeReferenceNode(node) || ts.isExpressionWithTypeArguments(node)) {
    const symbol = checker.getSymbolAtLocation(ts.isTypeReferenceNode(node) ? node.typeName : node.expression)
    if (symbol && isOurType(original(symbol))) found(original(symbol))
  }
  ts.forEachChild(node, child => {
    const isBodyOrValue = ts.isBlock(child) || (ts.isExpression(child) && !ts.isExpressionWithTypeArguments(child))
    if (!isBodyOrValue && !isPrivate(child)) visitTypes(child, found)
  })
}

const exportsOfFile = (file: string): ts.Symbol[] =>
  exportsOf(checker.getSymbolAtLocation(program.getSourceFile(file)!)!)

/** The types that the exports of a module mention and that neither it, a namespace in it nor another module exports. */
function missingTypes(file: string, others: readonly string[] = []): string[] {
  const direct = exportsOfFile(file)
  const namespaces = direct.filter(symbol => symbol.flags & ts.SymbolFlags.ValueModule).flatMap(exportsOf)
  const known = new Set([...direct, ...namespaces, ...others.flatMap(exportsOfFile)])
  const missing = new Set<string>()
  for (const symbol of direct)
    for (const declaration of symbol.declarations ?? [])
      if (!ts.isSourceFile(declaration))
        visitTypes(declaration, type => {
          if (!known.has(type) && !internal.has(type.name)) missing.add(`${type.name} (${symbol.name})`)
        })
  return [...missing].sort()
}

/** Types that a caller never has to name: parts of other types, what is inside a Tensor, the nodes of an ONNX graph. */
// prettier-ignore
const internal = new Set([
  'Custom', 'Deviation', 'Engine', 'IndexOf', 'Json', 'Like', 'ListVocabulary', 'Nested', 'Node', 'PrimitiveParamsOf',
  'Reduced', 'TreeDef', 'Value', 'ValueInfo',
])

// The other subpaths export a part of what the root exports, so that a caller finds each type at least there.
it('every type that an exported signature names is exported from the root', () => {
  expect(missingTypes(index)).toEqual([])
})

// Its exports are not the root's, which would load an HTTP server for everyone.
it('every type that switchyard-ml/serve names is exported from there or from the root', () => {
  expect(missingTypes(serve, [index])).toEqual([])
})
