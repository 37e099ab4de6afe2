import { isMainThread } from 'node:worker_threads'
import { SwitchyardError } from '../../../base/errors.js'
import { lazyPromise } from '../../../base/promise-cache.js'

/** ONNX Runtime's module for Node. */
export type Runtime = typeof import('onnxruntime-node')

/**
 * Loads ONNX Runtime, once per thread, with its telemetry turned off. Throws a SwitchyardError that says how to install
 * it if it is missing or incomplete.
 */
export const loadRuntime: () => Promise<Runtime> = lazyPromise(load)

async function load(): Promise<Runtime> {
  await disableTelemetry()
  try {
    return (await import('onnxruntime-node')).default
  } catch (error) {
    throw new SwitchyardError(
      `ONNX Runtime cannot be loaded (${firstLine(error)}). ` +
        'Install it again: npm install switchyard-ml --onnxruntime-node-install=skip (in a clone of Switchyard: npm ci)',
      { cause: error },
    )
  }
}

/**
 * ONNX Runtime reads this variable when its first session is created. Unless it is set, the library reads
 * /etc/machine-id, keeps a database under ~/.cache/Microsoft and reports to mobile.events.data.microsoft.com.
 */
const SWITCH = 'ORT_DISABLE_TELEMETRY'

/** Sets the variable in the process's environment, unless the user has set it. */
async function disableTelemetry(): Promise<void> {
  process.env[SWITCH] ??= '1'
  // A worker's `process.env` is a copy that native code does not see. The main thread's is the process's own.
  if (!isMainThread) await evaluateInMainThread(`process.env.${SWITCH} ??= ${JSON.stringify(process.env[SWITCH])}`)
}

/**
 * The time limit for evaluation in the main thread. It evaluates even while it is busy in JavaScript, but not during
 * `Atomics.wait`.
 */
const MAIN_THREAD_SECONDS = 10

/** Evaluates an expression in the main thread, through its debugger interface. */
async function evaluateInMainThread(expression: string): Promise<void> {
  const { Session } = await import('node:inspector')
  const session = new Session()
  let timer: NodeJS.Timeout | undefined
  try {
    session.connectToMainThread()
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('the main thread does not answer')), MAIN_THREAD_SECONDS * 1000)
      session.post('Runtime.evaluate', { expression }, (error: Error | null) => (error ? reject(error) : resolve()))
    })
  } catch (error) {
    if (isSetInProcess()) return
    throw new SwitchyardError(
      `the telemetry of ONNX Runtime cannot be turned off from this worker thread (${firstLine(error)}). ` +
        `Start the process with ${SWITCH}=1 in its environment`,
      { cause: error },
    )
  } finally {
    clearTimeout(timer)
    session.disconnect()
  }
}

/**
 * Whether native code sees the variable. In a worker, only a diagnostic report shows the environment of the process.
 */
function isSetInProcess(): boolean {
  const report = process.report.getReport() as { environmentVariables?: Readonly<Record<string, string>> }
  return report.environmentVariables?.[SWITCH] !== undefined
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]
