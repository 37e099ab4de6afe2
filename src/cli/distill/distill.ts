import { Command } from 'commander'
import { withDataOptions } from '../shared/data-options.js'
import { withMeshOption } from '../shared/mesh.js'
import { checkpointOption, collect } from '../shared/options.js'
import type { DistillOptions } from './distilling.js'

export const distillCommand = (): Command =>
  withMeshOption(withDataOptions(new Command('distill'), "instead of the teacher's own task"))
    .description('train a dense model that learns from a sparse one (its teacher), and report what it keeps')
    .argument(
      '<teacher>',
      'what infer opens: a run, such as runs/g2p; a model that comes with Switchyard, such as g2p; a Hugging Face folder; a T5X checkpoint; or a hub model (owner/name)',
    )
    .option(
      '--task <name>',
      'a task to train on: a built-in one, or one of your switchyard.config.ts (default: that of the teacher)',
    )
    .option(
      '--baseline <run>',
      'the same dense model, trained without the teacher: the report says which share of the gain over it is kept',
    )
    .option('--set <path=value>', 'change a setting, such as train.steps=300; may be given again', collect, [])
    .option(
      '--out <folder>',
      'the folder to save the run in; if it exists, the next free name is used (default: runs/TEACHER-dense)',
    )
    .addOption(checkpointOption())
    .option('--revision <name>', 'for a hub model: a branch, tag or commit (default: main)')
    .option('--print-config', 'print the settings and stop')
    .addHelpText(
      'after',
      `
As in Switch Transformers (section 4.2): the student is the dense model of the teacher's sizes. It begins with the
teacher's weights, and with new ones in place of experts. It learns the targets and the teacher's probabilities:
  --set distill.hardWeight=0.75      the factor of the cross entropy of the targets in the loss
  --set distill.softWeight=0.25      the factor of the divergence from the teacher's probabilities
  --set distill.temperature=2        softens both probabilities for that divergence (default: 1)
  --set model.numEncoderLayers=2     a student smaller than the dense twin
  --set from.rules=*=skip            a student that begins with new weights only

The result is a run. It needs the teacher while it is trained, also after a resume, and not afterwards.`,
    )
    .action(async (teacher: string, options: DistillOptions) => {
      const { distill } = await import('./distilling.js')
      await distill(teacher, options)
    })
