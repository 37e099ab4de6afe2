import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileError } from '../base/errors.js'
import { nextFreeFolder, removeAtomically, writeFileAtomically, writeFolderAtomically } from './atomic.js'

let scratch: string
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-atomic-'))
})
afterEach(() => rm(scratch, { recursive: true, force: true }))

const host = hostname().replace(/\W/g, '_').slice(0, 64)
/** The number of a process that is no more. */
const deadPid = (): number => spawnSync(process.execPath, ['-e', '']).pid

describe('writeFolderAtomically', () => {
  it('shows the folder only when it is complete', async () => {
    const path = join(scratch, 'a', 'b', 'done')
    await writeFolderAtomically(path, async temp => {
      await mkdir(join(temp, 'sub'))
      await writeFile(join(temp, 'sub', 'file'), 'text')
      expect(await readdir(join(path, '..'))).not.toContain('done')
    })
    expect(await readFile(join(path, 'sub', 'file'), 'utf8')).toBe('text')
    expect(await readdir(join(path, '..'))).toEqual(['done'])
  })

  it('says that a file is in the way where its folder was to be', async () => {
    await writeFile(join(scratch, 'x'), 'text')
    for (const path of [join(scratch, 'x/new'), join(scratch, 'x/new/folder')])
      await expect(writeFolderAtomically(path, () => Promise.resolve())).rejects.toThrow(
        `${path}: a part of the path is a file, not a folder`,
      )
  })

  it('leaves nothing when filling fails', async () => {
    await expect(
      writeFolderAtomically(join(scratch, 'x'), async temp => {
        await writeFile(join(temp, 'file'), 'text')
        throw new RangeError('mine')
      }),
    ).rejects.toThrow(RangeError)
    expect(await readdir(scratch)).toEqual([])
  })

  it('gives errors the name that the folder was to have', async () => {
    const fill = (temp: string): Promise<void> => Promise.reject(new FileError(`${temp}/f: the disk is full`))
    await expect(writeFolderAtomically(join(scratch, 'a'), fill)).rejects.toThrow(
      `${join(scratch, 'a')}/f: the disk is full`,
    )
  })

  it('refuses what exists, before filling', async () => {
    await writeFile(join(scratch, 'x'), 'precious')
    await expect(
      writeFolderAtomically(join(scratch, 'x'), () => {
        throw new Error('not reached')
      }),
    ).rejects.toThrow(FileError)
    expect(await readFile(join(scratch, 'x'), 'utf8')).toBe('precious')
  })

  it('replaces a folder when told, also past the remains of an earlier crash', async () => {
    const path = join(scratch, 'x')
    for (const name of ['x', 'x.replaced']) {
      await mkdir(join(scratch, name))
      await writeFile(join(scratch, name, 'old'), '')
    }
    await writeFolderAtomically(`${path}/`, temp => writeFile(join(temp, 'new'), ''), { replace: true })
    expect(await readdir(scratch)).toEqual(['x'])
    expect(await readdir(path)).toEqual(['new'])
  })

  it('lets writers of one folder work side by side', async () => {
    await Promise.all(
      [1, 2, 3, 4].map(i =>
        writeFolderAtomically(join(scratch, String(i)), async temp => {
          await new Promise(done => setTimeout(done, 5 * i))
          await writeFile(join(temp, 'file'), '')
        }),
      ),
    )
    expect((await readdir(scratch)).sort()).toEqual(['1', '2', '3', '4'])
  })

  it('removes what crashed writers left, and nothing else', async () => {
    const dead = deadPid()
    const make = async (name: string, hoursOld = 0): Promise<void> => {
      await mkdir(join(scratch, name))
      await writeFile(join(scratch, name, 'params.safetensors'), 'half')
      const then = new Date(Date.now() - hoursOld * 3600_000)
      await utimes(join(scratch, name, 'params.safetensors'), then, then)
      await utimes(join(scratch, name), then, then)
    }
    const gone = [
      `.switchyard-${host}-${dead}-0-00000000`,
      `.switchyard-${host}-${process.pid}-${threadId}-00000000`, // an earlier process of our number
      `.switchyard-elsewhere-1-0-00000000`,
      `.switchyard-${host}-${process.ppid}-0-00000000`,
    ]
    const kept = [
      `.switchyard-elsewhere-1-0-00000001`, // perhaps still written, on another machine
      `.switchyard-${host}-${process.ppid}-0-00000001`,
      `.switchyard-${host}-${dead}-0-nothex`,
      'step-5',
      '.hidden',
      'mine',
    ]
    await make(gone[0])
    await make(gone[1])
    await make(gone[2], 2)
    await make(gone[3], 2)
    for (const name of kept) await make(name)
    await writeFolderAtomically(join(scratch, 'new'), async () => {})
    expect((await readdir(scratch)).sort()).toEqual([...kept, 'new'].sort())
  })
})

describe('writeFileAtomically', () => {
  it('shows the file only when it is complete, and replaces only when told', async () => {
    const path = join(scratch, 'file')
    await writeFileAtomically(path, async handle => {
      await handle.write('one')
      expect(await readdir(scratch)).not.toContain('file')
    })
    await expect(
      writeFileAtomically(path, async handle => {
        await handle.write('two')
      }),
    ).rejects.toThrow(FileError)
    expect(await readFile(path, 'utf8')).toBe('one')
    await writeFileAtomically(
      path,
      async handle => {
        await handle.write('two')
      },
      { replace: true },
    )
    expect(await readFile(path, 'utf8')).toBe('two')
    expect(await readdir(scratch)).toEqual(['file'])
  })

  it('says what the file system refuses', async () => {
    await writeFile(join(scratch, 'file'), '')
    await expect(writeFileAtomically(join(scratch, 'file', 'below'), async () => {})).rejects.toThrow(FileError)
    await expect(writeFileAtomically(join(scratch, 'x'.repeat(300)), async () => {})).rejects.toThrow(/too long/)
    expect(await readdir(scratch)).toEqual(['file'])
  })
})

describe('removeAtomically', () => {
  it('removes folders and files', async () => {
    await mkdir(join(scratch, 'a', 'b'), { recursive: true })
    await writeFile(join(scratch, 'f'), '')
    await removeAtomically(join(scratch, 'a'))
    await removeAtomically(join(scratch, 'f'))
    expect(await readdir(scratch)).toEqual([])
    await expect(removeAtomically(join(scratch, 'a'))).rejects.toThrow(FileError)
  })
})

describe('nextFreeFolder', () => {
  it('counts up past folders and files, and never gives one name twice', async () => {
    const base = join(scratch, 'runs', 'g2p')
    expect(await nextFreeFolder(`${base}/`)).toBe(base)
    await writeFile(`${base}-2`, '')
    expect(await nextFreeFolder(base)).toBe(`${base}-3`)
    const several = await Promise.all(Array.from({ length: 20 }, () => nextFreeFolder(base)))
    expect(new Set(several).size).toBe(20)
  })

  it('says why it cannot make one', async () => {
    await writeFile(join(scratch, 'file'), '')
    await expect(nextFreeFolder(join(scratch, 'file', 'run'))).rejects.toThrow(FileError)
  })
})
