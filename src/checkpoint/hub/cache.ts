import { constants } from 'node:fs'
import { copyFile, mkdir, realpath, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { randomBytes } from 'node:crypto'
import { FileError } from '../../base/errors.js'
import { writeFileAtomically } from '../atomic.js'
import { errorCode, isFile, readSmallText, withPath } from '../files.js'
import { isCommit } from './name.js'

/**
 * One model in the cache, as Python's huggingface_hub lays it out:
 *
 *     models--OWNER--NAME/
 *       blobs/ETAG                 a file's content, named by its sha256, or by git's sha1 if it is small
 *       refs/REVISION              the commit of a branch or tag when the hub was last asked
 *       snapshots/COMMIT/FILE      a link to ../../blobs/ETAG, or a copy where links are not possible
 *       .no_exist/COMMIT/FILE      an empty file: this commit is known to have no such file
 */
export class ModelCache {
  readonly folder: string

  constructor(
    private readonly root: string,
    repo: string,
  ) {
    this.folder = resolve(root, `models--${repo.replace('/', '--')}`)
  }

  blob(etag: string): string {
    return join(this.folder, 'blobs', etag)
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }

  /** The commit of a revision, if the cache knows it. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision
    const path = join(this.folder, 'refs', revision)
    if (!(await isFile(path))) return undefined
    await this.checkInside(path)
    const commit = (await readSmallText(path, 1000)).trim()
    if (!isCommit(commit))
      throw new FileError(`${path}: this should hold the name of a commit, and does not: remove it`)
    return commit
  }

  /** Stores the commit of a revision. */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return
    const path = join(this.folder, 'refs', revision)
    await this.makeFolder(dirname(path))
    await writeFileAtomically(path, handle => handle.writeFile(commit), { replace: true })
  }

  /** The size in bytes of a snapshot's file; undefined if there is none or its link is dangling. */
  async sizeOf(commit: string, name: string): Promise<number | undefined> {
    return this.sizeAt(join(this.snapshot(commit), name))
  }

  /** The size in bytes of a blob. */
  async blobSize(etag: string): Promise<number | undefined> {
    return this.sizeAt(this.blob(etag))
  }

  /** Whether the commit is known not to have such a file. */
  async isAbsent(commit: string, name: string): Promise<boolean> {
    return isFile(join(this.folder, '.no_exist', commit, name))
  }

  async setAbsent(commit: string, name: string): Promise<void> {
    const path = join(this.folder, '.no_exist', commit, name)
    await this.makeFolder(dirname(path))
    await withPath(path, () => writeFile(path, ''))
  }

  /** Makes the folder of the blobs. */
  async makeBlobs(): Promise<string> {
    const path = dirname(this.blob('_'))
    await this.makeFolder(path)
    return path
  }

  /**
   * Links a blob into a snapshot under the file's name. Replaces a dangling link or a file of a wrong size.
   */
  async link(commit: string, name: string, etag: string): Promise<void> {
    const path = join(this.snapshot(commit), name)
    const temp = `${path}.${randomBytes(4).toString('hex')}.tmp`
    await this.makeFolder(dirname(path))
    await withPath(path, async () => {
      try {
        await linkOrCopy(this.blob(etag), temp)
        await rename(temp, path)
      } catch (error) {
        await rm(temp, { force: true })
        throw error
      }
    })
  }

  private async sizeAt(path: string): Promise<number | undefined> {
    if (!(await isFile(path))) return undefined
    await this.checkInside(path)
    return (await withPath(path, () => stat(path))).size
  }

  private async makeFolder(path: string): Promise<void> {
    await withPath(path, () => mkdir(path, { recursive: true }))
    await this.checkInside(path)
  }

  /**
   * Throws a FileError if the path, with links resolved, is outside the cache and outside this model's folder. (The
   * cache or the model's folder may itself be a link, and newer versions of huggingface_hub share blobs among models.)
   */
  private async checkInside(path: string): Promise<void> {
    const [real, ...homes] = await withPath(path, () =>
      Promise.all([path, this.root, this.folder].map(place => realpath(place))),
    )
    if (homes.some(home => real === home || real.startsWith(home + sep))) return
    throw new FileError(`${path}: this leads out of the cache, to ${real}, and was not followed: remove the link`)
  }
}

async function linkOrCopy(blob: string, path: string): Promise<void> {
  try {
    await symlink(relative(dirname(path), blob), path)
  } catch (error) {
    // Links need a privilege on Windows, and some file systems have none.
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'].includes(errorCode(error) ?? '')) throw error
    await copyFile(blob, path, constants.COPYFILE_FICLONE)
  }
}
