/** `switchyard-ml/train`: training and evaluation of models. For Node. */

// Optimizers and schedules
export { adamW } from './train/optimizers/adamw.js'
export type { AdamWOptions } from './train/optimizers/adamw.js'
export { adafactor } from './train/optimizers/adafactor.js'
export type { AdafactorOptions } from './train/optimizers/adafactor.js'
export type { ParameterAxes } from './train/optimizers/factoring.js'
export { clipByGlobalNorm, globalNorm } from './train/optimizers/clipping.js'
export type { AddUp } from './train/optimizers/clipping.js'
export { makeSchedule } from './train/optimizers/schedules.js'
export type { Schedule, ScheduleConfig } from './train/optimizers/schedules.js'
export type { Optimizer, UpdateScalars } from './train/optimizers/optimizer.js'
export type { OptimizerConfig } from './train/optimizers/optimizers.js'

// The training step, the training loop and its checkpoints
export type { MeshProgram } from './train/parallel/jit-on-mesh.js'
export { makeTrainStep } from './train/step.js'
export type { StepLayouts, StepOptions } from './train/step.js'
export type { Loss, StepInputs, StepMetrics, StepResult, TrainArrays, TrainStep } from './train/step.js'
export { Trainer } from './train/trainer.js'
export type { RunEnd, TrainerRunOptions } from './train/trainer.js'
export type { BatchSize, SavedCheckpoint, TrainerHooks, TrainerValues } from './train/values.js'
export type { Validation } from './train/validation.js'
export type { BestValidation } from './train/best.js'
export type { Progress, Speed } from './train/reporter.js'
export type { MetricsRecord } from './train/metrics-log.js'
export type { RunConfig, TrainConfig } from './train/config.js'
export type { MeshConfig } from './train/parallel/mesh-config.js'
export { openCheckpoint } from './train/checkpointing.js'
export { RunLock } from './checkpoint/run-lock.js'
export type { HeldLock } from './checkpoint/run-lock.js'
export type { CheckpointChoice, ChooseOptions } from './train/choose-checkpoint.js'
export type { Job } from './train/job/job.js'

// Fine-tuning: the weights that a run begins with, and which parameters it trains
export type { Restored, StartingPoint } from './train/restore/start.js'
export type { RestorePlan } from './train/restore/plan.js'
export type { Origin, RestoreRule } from './train/restore/origin.js'
export type { LoraConfig, RateRule, TrainableConfig } from './train/trainable/config.js'
export type { Checkpoint, CheckpointInfo } from './checkpoint/native.js'

// Distillation: a run that learns from a teacher
export { openTeacher } from './open/frozen-model.js'
export type { FrozenOptions, TeacherOptions } from './open/frozen-model.js'
export type { Teacher } from './train/distillation/teacher.js'
export type { DistillConfig, TeacherConfig, WeightsTeacher } from './train/distillation/config.js'

// Recipes, and the configuration file switchyard.config.ts
export { recipes } from './config/recipes.js'
export { recipeRun } from './config/recipe-run.js'
export type { ProgramRecipe } from './config/recipe-run.js'
export type { NamedRun } from './config/user-values.js'
export { defineConfig } from './config/define-config.js'
export type { UserConfig, UserRecipe } from './config/define-config.js'
export type { SparseRules } from './config/sparse-layers.js'
export { fineTuning, pretraining } from './config/recipes/published.js'

// Evaluation
export { evaluate, evaluateExamples, trainedTextModel } from './train/evaluate.js'
export type { EvaluateOptions, Evaluation } from './train/evaluate.js'
export { evaluationRecords, evaluationSummary } from './train/evaluation-records.js'
export type { EvaluationRecord, EvaluationSummary } from './train/evaluation-records.js'
export type { CustomModelValues } from './train/loss.js'
