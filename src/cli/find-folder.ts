import { dirname } from 'node:path'
import { Presets, SingleBar } from 'cli-progress'
import { FileError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import { exists } from '../checkpoint/atomic.js'
import type { FetchProgress } from '../checkpoint/hub/fetch-files.js'
import { isHubName } from '../checkpoint/hub/name.js'
import { didYouMeanPath } from '../data/sources/similar-path.js'
import { Exit } from './exit.js'
import { onInterrupt } from './interrupt.js'

/**
 * The folder of a model: the path itself if it exists, otherwise the cached copy of a model of the Hugging Face hub
 * with this name, which is downloaded if it is not in the cache.
 */
export async function findFolder(name: string, revision?: string): Promise<string> {
  if (await exists(name)) {
    if (revision !== undefined)
      throw new FileError(`${name}: this is a folder; --revision is for models of the Hugging Face hub`)
    return name
  }
  // A path under runs/, or one whose parent folder exists, is a mistyped path and not the name of a model on the hub.
  if (!isHubName(name) || name.startsWith('runs/') || (await exists(dirname(name)))) {
    const expected =
      "a run was expected (runs/g2p), a model's folder, or a model of the Hugging Face hub (google/switch-base-8)"
    throw new FileError(`${name}: there is no such folder; ${await didYouMeanPath(name, expected)}`)
  }
  const { fetchModel } = await import('../checkpoint/hub/fetch-model.js')
  const progress = showDownload()
  const { signal, stop } = onInterrupt(() =>
    progress.notice('stopping; the downloaded part is kept, and the same command resumes from it'),
  )
  try {
    return await fetchModel(name, { revision, signal, onProgress: progress.show, onNotice: progress.notice })
  } catch (error) {
    throw signal.aborted ? new Exit(130) : error
  } finally {
    stop()
    progress.stop()
  }
}

interface Download {
  show: (progress: FetchProgress) => void
  notice: (message: string) => void
  stop: () => void
}

/** Shows the download on the standard error: as a bar in a terminal, otherwise as one line for each file. */
function showDownload(): Download {
  let file = ''
  if (!process.stderr.isTTY) {
    return {
      show: progress => {
        if (progress.file !== file) console.error(`fetching ${progress.file} (${formatBytes(progress.totalBytes)})`)
        file = progress.file
      },
      notice: message => console.error(message),
      stop: () => undefined,
    }
  }
  const bar = new SingleBar(
    {
      format: '{bar} {percentage}%  {done} of {all}  {file}',
      stream: process.stderr,
      hideCursor: true,
      gracefulExit: false,
      clearOnComplete: true,
      barsize: 20,
    },
    Presets.shades_classic,
  )
  let isStarted = false
  return {
    show: ({ file: name, allBytes, allTotalBytes }) => {
      const payload = { file: name, done: formatBytes(allBytes), all: formatBytes(allTotalBytes) }
      if (!isStarted || bar.getTotal() !== allTotalBytes) bar.start(allTotalBytes, allBytes, payload)
      else bar.update(allBytes, payload)
      isStarted = true
    },
    notice: message => {
      if (isStarted) bar.stop()
      isStarted = false
      console.error(message)
    },
    stop: () => {
      if (isStarted) bar.stop()
    },
  }
}
