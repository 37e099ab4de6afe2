import { join } from 'node:path'
import { FileError } from '../../base/errors.js'
import type { OpenFile } from '../byte-source.js'
import { openFile } from '../files.js'
import { paramsName } from '../native.js'
import { readSafetensorsHeader } from '../safetensors-read.js'
import { partRanges, rangedSource } from './ranged.js'
import { partBytes, tensorName } from './source.js'
import type { ExpertSource, ExpertStack } from './source.js'

/**
 * The experts in `params.safetensors` of a checkpoint in our own format. One expert's part of a stack is a range of
 * bytes. Such parts have no checksums of their own, so that they are not checked: `convert --experts apart` writes a
 * file whose pages are.
 */
export async function nativeExperts(folder: string, stacks: readonly ExpertStack[]): Promise<ExpertSource> {
  const file = await openFile(join(folder, paramsName))
  try {
    const { dataStart, header } = await readSafetensorsHeader(file)
    const beginnings = stacks.map(({ parts, numExperts }) =>
      parts.map(part => {
        const tensor = header.tensors.get(tensorName(part))
        if (tensor === undefined || tensor.end - tensor.begin !== numExperts * partBytes(part))
          throw new FileError(`${file.path}: the file was changed after it was opened: open it again`)
        return dataStart + tensor.begin
      }),
    )
    const placeOf = (stack: number, part: number, expert: number): { file: OpenFile; begin: number } => ({
      file,
      begin: beginnings[stack][part] + expert * partBytes(stacks[stack].parts[part]),
    })
    return rangedSource({
      name: folder,
      stacks,
      files: [file],
      rangesOf: (stack, expert) => partRanges(stacks[stack], part => placeOf(stack, part, expert)),
    })
  } catch (error) {
    await file.close()
    throw error
  }
}
