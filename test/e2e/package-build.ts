import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { glob } from 'tinyglobby'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** The built package's folder. */
    packageFolder: string
  }
}

const repository = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Builds the package into a temporary folder, once for all test files that use it. Runs before the first of them. The
 * types are not checked: `npm run typecheck` does that.
 */
export default async function buildPackage(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-package-'))
  const tsc = join(repository, 'node_modules/typescript/bin/tsc')
  const config = ['-p', join(repository, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')]
  const fast = ['--noCheck', '--incremental', 'false', '--tsBuildInfoFile', 'null']
  await promisify(execFile)(process.execPath, [tsc, ...config, ...fast])
  for (const name of ['package.json', 'README.md', 'bin', 'assets', 'docs', 'examples'])
    await cp(join(repository, name), join(folder, name), { recursive: true })
  for (const page of await glob('src/**/README.md', { cwd: repository }))
    await cp(join(repository, page), join(folder, page))
  await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'))
  project.provide('packageFolder', folder)
  return () => rm(folder, { recursive: true, force: true })
}
