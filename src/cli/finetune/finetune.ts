import { Command } from 'commander'
import type { ModelTrainingOptions } from '../shared/model-training.js'
import { withDataOptions } from '../shared/data-options.js'
import { withMeshOption } from '../shared/mesh.js'
import { collectSettings } from '../shared/options.js'

export const finetuneCommand = (): Command =>
  withMeshOption(withDataOptions(new Command('finetune'), 'instead of a built-in task'))
    .description("train a model that exists on data of your own, with the model's vocabulary, and evaluate it")
    .argument(
      '<model>',
      'what infer opens: a model that comes with Switchyard, such as g2p; a run, such as runs/g2p; a Hugging Face folder; a LoRA adapter of PEFT; a T5X checkpoint; or a model of the Hugging Face hub, such as google/flan-t5-small',
    )
    .option(
      '--task <name>',
      'a task to train on, instead of a file: a built-in one, or one of your switchyard.config.ts',
    )
    .option('--set <path=value>', 'change a setting, such as train.steps=300; may be given again', collectSettings, [])
    .option(
      '--out <folder>',
      'the folder to save the run in; if it exists, the next free name is used (default: runs/MODEL-DATA)',
    )
    .option('--revision <name>', 'for a model of the hub: a branch, tag or commit (default: main)')
    .option('--print-config', 'print the settings and stop')
    .addHelpText(
      'after',
      `
The result is a run: infer, eval, convert and train --resume take it, and the model that it began with is no longer
needed. A run whose data has grown or changed goes on from its weights: switchyard finetune runs/NAME --data new.tsv

Which parameters are restored (the last rule that matches decides):
  --set from.rules=decoder/logits_dense=skip           initialise these instead; * stands for any text in a name
  --set from.rules=decoder/layers_2=decoder/layers_1   restore these from others

Which parameters are trained:
  --set train.freeze=router,encoder                    these keep their values; *,!decoder freezes all but the decoder
  --set train.rates=token_embedder=0.1                 a tenth of the learning rate for these
  --set train.lora.rank=8                              low-rank adapters only (LoRA); train.lora.targets=query,value
                                                       names the kernels that get one, train.lora.alpha=16 scales it
  infer, eval and convert add the adapters of a run to its kernels; convert --to peft writes them alone.

The optimizer's state is fresh, as in T5's fine-tuning: what it remembers of earlier gradients belongs to other data.
  --set from.optimizer=restored   go on with the state, the optimizer and the step count of a run`,
    )
    .action(async (model: string, options: ModelTrainingOptions) => {
      const { finetune } = await import('./finetuning.js')
      await finetune(model, options)
    })
