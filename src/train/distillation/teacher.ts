import { missingValue } from '../../base/custom.js'
import { ConfigError } from '../../base/errors.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { Distillation } from '../../model/loss.js'
import type { Batch } from '../../model/types.js'
import { distillDefaults } from './config.js'
import type { DistillConfig, TeacherConfig } from './config.js'

/**
 * A model that a student learns from. Its arrays are closed over: they are inputs of the step's program that no step
 * changes, and neither the optimizer nor a checkpoint has them.
 */
export interface Teacher {
  /** Names the teacher in messages, and in the run's configuration if it has no `config`. */
  readonly name: string
  /** How a configuration names this teacher. Left out by a program's own. */
  readonly config?: TeacherConfig
  /** The bytes of the teacher's arrays, for the estimate of the memory. Default: 0. */
  readonly bytes?: number
  /** The float32 logits [batch, length, vocab] of a batch's targets, without dropout. Traced into the step. */
  logits(batch: Batch): Tensor
}

/** A run's configuration with the supplied teacher's name, and the default weights if it has none. */
export const distillConfigOf = (given: DistillConfig | null, teacher: Teacher | undefined): DistillConfig | null =>
  teacher === undefined ? given : { ...distillDefaults, ...given, teacher: configOf(teacher) }

const configOf = ({ name, config }: Teacher): TeacherConfig => config ?? { kind: 'custom', name }

/** Throws a ConfigError if a configuration names a teacher that is not supplied, or another one is. */
export function checkTeacher(distill: DistillConfig | null | undefined, teacher: Teacher | undefined): void {
  if (!distill) return
  const { teacher: named } = distill
  const supplied = teacher && configOf(teacher)
  if (named.kind === 'custom') {
    if (supplied === undefined) throw missingValue('teacher', named.name)
    if (supplied.kind !== 'custom' || supplied.name !== named.name)
      throw new ConfigError(
        `this run learns from the teacher "${named.name}", and the supplied one is "${teacher!.name}": supply the same one`,
      )
    return
  }
  if (supplied === undefined)
    throw new ConfigError(
      `this run learns from the teacher in ${named.path}: supply it, as { teacher: await openTeacher(config.distill.teacher) }`,
    )
  const fingerprint = supplied.kind === 'weights' ? supplied.fingerprint : undefined
  if (fingerprint !== named.fingerprint)
    throw new ConfigError(
      `this run learns from the teacher in ${named.path} with the fingerprint ${named.fingerprint}, and the supplied one, ${teacher!.name}, has ${fingerprint ?? 'no fingerprint'}`,
    )
}

/** What the loss of a batch needs of a teacher. */
export const distillationOf = (
  teacher: Teacher,
  { hardWeight, softWeight, temperature }: Omit<DistillConfig, 'teacher'>,
  batch: Batch,
): Distillation => ({ teacherLogits: teacher.logits(batch), hardWeight, softWeight, temperature })
