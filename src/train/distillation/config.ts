import type { Custom } from '../../base/custom.js'

/** Learning from a teacher (knowledge distillation): part of `RunConfig`. */
export interface DistillConfig {
  readonly teacher: TeacherConfig
  /** The factor of the cross entropy of the targets in the loss. */
  readonly hardWeight: number
  /** The factor of the divergence from the teacher's probabilities in the loss. */
  readonly softWeight: number
  /** The logits of teacher and student are divided by it for that divergence. */
  readonly temperature: number
}

/** How a configuration names a teacher: by its weights, or by the name of a value that a program supplied. */
export type TeacherConfig = WeightsTeacher | Custom

/** A teacher whose weights are in a folder. */
export interface WeightsTeacher {
  readonly kind: 'weights'
  /** The folder of the weights; of a run, of one of its checkpoints. */
  readonly path: string
  /** A checksum of all weights: see `fingerprintOf`. A run resumes only with the same ones. */
  readonly fingerprint: string
}

/** The mixture of Switch Transformers (section 4.2, table 6, https://arxiv.org/abs/2101.03961), with no temperature. */
export const distillDefaults = { hardWeight: 0.75, softWeight: 0.25, temperature: 1 }
