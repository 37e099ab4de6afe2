import { native } from '../../src/checkpoint/native.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import { torch } from '../../src/checkpoint/torch/torch.js'
import { checkpointConformance } from './checkpoint.js'
import { writeTorchFile } from './torch-file.js'

checkpointConformance({ format: safetensors, pathName: 'model.safetensors', dataFile: '' })
checkpointConformance({ format: native, pathName: 'step-0', dataFile: 'params.safetensors' })
checkpointConformance({ format: torch, pathName: 'pytorch_model.bin', dataFile: '', make: writeTorchFile, without: ['uint16', 'uint32'] })
