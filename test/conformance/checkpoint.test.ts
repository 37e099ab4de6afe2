import { native } from '../../src/checkpoint/native.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import { checkpointConformance } from './checkpoint.js'

checkpointConformance({ format: safetensors, pathName: 'model.safetensors', dataFile: '' })
checkpointConformance({ format: native, pathName: 'step-0', dataFile: 'params.safetensors' })
