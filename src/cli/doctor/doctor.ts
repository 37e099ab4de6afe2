import { Command } from 'commander'

export const doctorCommand = (): Command =>
  new Command('doctor')
    .description(
      'say what computes here: Node, the processor, ONNX Runtime, XLA with its plugins and devices; run a small program on each, and give the command that installs what is missing',
    )
    .option('--json', 'print the findings as JSON')
    .action(async ({ json }: { json?: true }) => {
      const { doctor } = await import('./diagnosis.js')
      await doctor(json === true)
    })
