import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { inject } from 'vitest'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** The command line as a user has it, built from the current sources (see package-build.ts). */
export class Cli {
  /** The package, as npm would install it. All test files of a run share it. */
  readonly package_ = inject('packageFolder')

  private constructor(
    /**
     * Where commands run and make their runs/: within the package, as in a clone, so that messages say `npx
     * switchyard`.
     */
    readonly folder: string,
  ) {}

  static async create(): Promise<Cli> {
    return new Cli(await mkdtemp(join(inject('packageFolder'), 'work-')))
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  /**
   * Starts `switchyard ...args`. `watch` is called with its output so far, and may end it. `input` null: its standard
   * input gets `first` and stays open.
   */
  start(
    args: readonly string[],
    watch: (stdout: string, process: ChildProcess) => void = () => undefined,
    input: string | null = '',
    first = '',
  ): Promise<Ended> {
    const child = spawn(process.execPath, [join(this.package_, 'bin/switchyard.js'), ...args], {
      cwd: this.folder,
      env: { ...process.env, NO_COLOR: '1' },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      watch(stdout, child)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    if (input !== null) child.stdin.end(input)
    else child.stdin.write(first)
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
    })
  }

  run(...args: readonly string[]): Promise<Ended> {
    return this.start(args)
  }
}

/** Settings of a tiny model that trains in a moment (and learns little). */
export const tiny = [
  'model.dModel=8',
  'model.dFf=16',
  'model.numHeads=2',
  'model.headDim=4',
  'model.numExperts=2',
  'train.rows=2',
  'train.inputLength=32',
  'train.targetLength=32',
  'train.schedule.warmupSteps=2',
  'train.logEvery=1',
  'train.checkpointEvery=2',
  'train.evalExamples=12',
].flatMap(setting => ['--set', setting])
