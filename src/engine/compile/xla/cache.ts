import { createHash, randomUUID } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { attempt, evict, UNFINISHED } from '../cache-folder.js'
import type { PjrtClient } from './pjrt/client.js'
import { encodeCompileOptions } from './pjrt/compile-options.js'
import type { CompileOptions } from './pjrt/compile-options.js'
import type { PjrtExecutable } from './pjrt/executable.js'

/** The cache holds at most this many bytes: about 1000 training steps. The least recently used are removed first. */
const MAX_BYTES = 2 ** 30

/** How each file begins: the format's name, and the SHA-256 of the rest. */
const MAGIC = Buffer.from('SYXLA\x001\n')
const HEADER_BYTES = MAGIC.length + 32

/** Compiled programs on disk: a process loads a program that an earlier process has compiled. */
export class CompileCache {
  private readonly identity: string

  constructor(
    private readonly folder: string,
    private readonly client: PjrtClient,
    private readonly maxBytes = MAX_BYTES,
  ) {
    this.identity = identityOf(client)
  }

  /** The executable of a StableHLO text: from the cache, or compiled and added to it. */
  async load(text: string, options: CompileOptions): Promise<PjrtExecutable> {
    const { client } = this
    const name = this.nameOf(text, options)
    const path = join(this.folder, name)
    const bytes = await readEntry(path)
    if (bytes) {
      try {
        return await client.deserialize(bytes)
      } catch {
        // XLA refuses it, whatever the reason: it is compiled again, and replaced.
      }
    }
    const executable = await client.compile(text, options)
    await this.add(name, executable)
    return executable
  }

  /** Everything that decides how the executable looks and whether it can run. */
  private nameOf(text: string, options: CompileOptions): string {
    const hash = createHash('sha256')
    for (const part of [this.identity, encodeCompileOptions(options), text]) hash.update(part).update('\0')
    return hash.digest('hex').slice(0, 32)
  }

  /** Adds an entry. A disk that is full or read-only only means that there will be none. */
  private async add(name: string, executable: PjrtExecutable): Promise<void> {
    const unfinished = join(this.folder, `${randomUUID()}${UNFINISHED}`)
    try {
      const body = executable.serialize()
      await mkdir(this.folder, { recursive: true })
      await writeFile(unfinished, Buffer.concat([MAGIC, sha256(body), body]))
      await rename(unfinished, join(this.folder, name))
      evict(this.folder, name, this.maxBytes)
    } catch {
      await rm(unfinished, { force: true }).catch(() => undefined)
    }
  }
}

/** What an entry holds. Undefined if there is none; one that is damaged is removed. */
async function readEntry(path: string): Promise<Uint8Array | undefined> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
    const now = new Date()
    await utimes(path, now, now).catch(() => undefined)
  } catch {
    return undefined
  }
  const body = bytes.subarray(HEADER_BYTES)
  if (bytes.subarray(0, HEADER_BYTES).equals(Buffer.concat([MAGIC, sha256(body)]))) return body
  await rm(path, { force: true }).catch(() => undefined)
  return undefined
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

/** The plugin, the devices and the processor: machine code for one processor may not run on another. */
function identityOf({ library, platform, platformVersion, devices, attributes }: PjrtClient): string {
  const { size, mtimeMs } = statSync(library.path)
  return JSON.stringify([
    [library.path, size, mtimeMs, library.version, [...attributes]],
    [platform, platformVersion, devices.map(({ id, kind }) => [id, kind])],
    platform === 'cpu' ? processor() : '',
    process.env.XLA_FLAGS ?? '',
  ])
}

/** The processor's model, and the features that Linux lists. */
function processor(): string {
  let flags = ''
  attempt(() => {
    flags = /^(?:flags|Features)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[0] ?? ''
  })
  return `${cpus()[0]?.model} ${flags}`
}
