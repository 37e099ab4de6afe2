import { describe } from 'vitest'
import { meshConformance } from '../../../../test/conformance/mesh.js'
import { jobAsBackend } from '../../../../test/processes/local-job.js'
import { onnxBackend } from '../../api/engine.js'
import { referenceBackend } from '../reference/backend.js'

describe('programs on a mesh of processes', () => {
  describe('each of which interprets its part', () => {
    meshConformance(async processes => jobAsBackend(processes, () => referenceBackend))
  })
  describe('each of which runs ONNX Runtime', () => {
    meshConformance(async processes => jobAsBackend(processes, () => onnxBackend()))
  })
})
