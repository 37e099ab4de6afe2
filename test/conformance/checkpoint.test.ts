import { native } from '../../src/checkpoint/native.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import { huggingface } from '../../src/checkpoint/sharded.js'
import { t5x } from '../../src/checkpoint/t5x/t5x.js'
import { t5xNameProblem } from '../../src/checkpoint/t5x/write.js'
import { torch } from '../../src/checkpoint/torch/torch.js'
import { checkpointConformance } from './checkpoint.js'
import { writeTorchFile } from './torch-file.js'

checkpointConformance({ format: safetensors, pathName: 'model.safetensors', dataFile: '' })
checkpointConformance({ format: native, pathName: 'step-0', dataFile: 'params.safetensors' })
checkpointConformance({
  format: torch,
  pathName: 'pytorch_model.bin',
  dataFile: '',
  make: writeTorchFile,
  without: ['uint16', 'uint32'],
})
checkpointConformance({ format: huggingface, pathName: 'folder', dataFile: 'model.safetensors' })
checkpointConformance({
  title: 'huggingface, in shards',
  pathName: 'folder',
  dataFile: names =>
    names
      .filter(n => n.endsWith('.safetensors'))
      .sort()
      .at(-1)!,
  format: {
    ...huggingface,
    write: (path, source, options) => huggingface.write(path, source, { ...options, maxShardBytes: 20 }),
  },
})
checkpointConformance({
  format: t5x,
  pathName: 'checkpoint_0',
  holds: name => t5xNameProblem(name) === undefined && !name.includes('/'), // those come back grouped, as a tree is
  // The last tensor's chunk; a checkpoint of scalars has no other file.
  dataFile: names =>
    names
      .filter(name => name !== 'checkpoint')
      .sort()
      .map(name => `${name}/0`)
      .at(-1) ?? 'checkpoint',
})
