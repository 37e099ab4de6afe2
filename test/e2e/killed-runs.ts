import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import ts from 'typescript'
import type { Cli } from './cli.js'

/** The steps of the run that `writeScript` trains. */
export const STEPS = 80

/**
 * Writes a program that begins or resumes the tests' small run in a folder, saves after every step, and prints each
 * step. The model is dense, since twenty processes compile it. The program needs 1 s of CPU.
 */
export async function writeScript(cli: Cli): Promise<string> {
  const source = await readFile(fileURLToPath(new URL('../train/small-run.ts', import.meta.url)), 'utf8')
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  })
  await writeFile(join(cli.folder, 'small-run.js'), outputText.replaceAll('../../src/', '../dist/'))
  const path = join(cli.folder, 'main.js')
  await writeFile(
    path,
    `import { latestCheckpoint } from '../dist/checkpoint/run-folder.js'
    import { openCheckpoint } from '../dist/train/checkpointing.js'
    import { Trainer } from '../dist/train/trainer.js'
    import { configWith, task } from './small-run.js'
    const folder = process.argv[2]
    const config = configWith({ steps: ${STEPS}, checkpointEvery: 1, logEvery: 1, keep: 3, keepEvery: 20 })
    config.model = { ...config.model, encoderSparseLayers: [], decoderSparseLayers: [], numExperts: 0 }
    const found = await latestCheckpoint(folder)
    const checkpoint = found && (await openCheckpoint(folder, { withOptimizer: true }))
    const trainer = await (checkpoint ? Trainer.resume(config, checkpoint, { task }) : Trainer.begin(config, { task }))
    await checkpoint?.close()
    await trainer.run(folder, { onProgress: ({ step }) => process.stdout.write(step + '\\n') })`,
  )
  return path
}

/**
 * Runs the program. With `kill`, ends it with kill -9 at a random moment of a few steps; gives the last step printed.
 */
export async function live(
  script: string,
  folder: string,
  kill: boolean,
): Promise<{ step: number; code: number | null }> {
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  const ended = new Promise<number | null>(done => child.once('close', code => done(code)))
  const times: number[] = []
  const third = new Promise<void>(done => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (times.push(performance.now()) === 3) done()
    })
  })
  if (kill) {
    await Promise.race([third, ended])
    await sleep(2 * Math.random() * (times[2] - times[0]))
    child.kill('SIGKILL')
  }
  return { code: await ended, step: Number(output.trimEnd().split('\n').at(-1)) }
}
