import { SwitchyardError } from '../../base/errors.js'
import { sameBytes } from '../byte-source.js'
import { firstBytes, openFrom } from '../files.js'
import type { CheckpointFormat } from '../format.js'
import { openTorch } from './read.js'

/** Files of torch.save that hold a state_dict: `pytorch_model.bin`, `.pt`, `.pth`. Read only. */
export const torch: CheckpointFormat = {
  name: 'torch',

  async detect(path) {
    if (/\.(bin|pt|pth)$/.test(path)) return true
    const start = await firstBytes(path, 4)
    return start !== undefined && sameBytes(start, zipStart)
  },

  open(path) {
    return openFrom(path, openTorch)
  },

  write(path) {
    return Promise.reject(
      new SwitchyardError(
        `${path}: Switchyard reads torch files and does not write them: write safetensors instead (a name that ends with .safetensors), which torch users can read`,
      ),
    )
  },
}

const zipStart = new Uint8Array([0x50, 0x4b, 3, 4])
