/** Names that other programs have for our settings, in lower case and in one word, each with a setting of ours. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ['steps', 'train.steps=300'],
  ['maxsteps', 'train.steps=300'],
  ['epochs', 'train.steps=300'],
  ['numepochs', 'train.steps=300'],
  ['numtrainepochs', 'train.steps=300'],
  ['lr', 'train.schedule.peak=0.001'],
  ['learningrate', 'train.schedule.peak=0.001'],
  ['peaklearningrate', 'train.schedule.peak=0.001'],
  ['warmup', 'train.schedule.warmupSteps=100'],
  ['warmupsteps', 'train.schedule.warmupSteps=100'],
  ['batchsize', 'train.rows=16'],
  ['gradientaccumulationsteps', 'train.accumulate=2'],
  ['gradientcheckpointing', 'train.remat=true'],
  ['seed', 'train.seed=1'],
  ['optimizer', 'train.optimizer.kind=adamW'],
  ['dropout', 'model.dropoutRate=0.1'],
  ['experts', 'model.numExperts=16'],
  ['numexperts', 'model.numExperts=16'],
  ['topk', 'router.selectedExperts=2'],
  ['capacityfactor', 'router.trainCapacityFactor=1.5'],
])

/** Our setting for a name in another program, such as `lr` or `--batch-size`: `train.rows=16`; or undefined. */
export const settingNamed = (name: string): string | undefined =>
  otherNames.get(name.toLowerCase().replaceAll(/[-_]/g, ''))
