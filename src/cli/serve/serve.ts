import { Command, Option } from 'commander'
import { withPagingOptions } from '../shared/paging-options.js'
import { anyNumber, bitsOf, checkpointOption, collect, wholeNumber } from '../shared/options.js'
import type { ServeOptions } from './serving.js'

const examples = `
Examples:
  switchyard serve g2p
  curl http://127.0.0.1:8000/v1/completions -H 'content-type: application/json' -d '{"model": "g2p", "prompt": "hello"}'

  switchyard serve runs/spell google/flan-t5-small --quantize int8 --replicas 2
  switchyard serve spell=runs/spell-2 --port 0 --api-key-file keys.txt --host 0.0.0.0

A model that cannot be loaded does not end the command while another one answers: see /health.
The server stops when it gets SIGTERM or Ctrl-C: it finishes running requests and refuses new ones. A further Ctrl-C
ends it at once. The log goes to the standard output, one line of JSON for each request. TLS is left to a proxy.`

export const serveCommand = (): Command =>
  withPagingOptions(new Command('serve'), ' (for each model, divided among its replicas)')
    .description(
      "answer requests over HTTP: OpenAI's API (completions, chat, responses, embeddings), metrics, and a page to try a model",
    )
    .argument(
      '<models...>',
      'the models, as for infer: runs, folders, models that come with Switchyard or of the Hugging Face hub; of encoders alone, vectors are served. Clients ask for a model by its name, which is that of its folder or of the hub; NAME=MODEL gives it another one',
    )
    .option('--host <address>', 'the address to listen on; 0.0.0.0 for all (default: 127.0.0.1, this machine alone)')
    .option(
      '--port <n>',
      'the port to listen on; 0 for a free one, which is printed (default: 8000)',
      wholeNumber(0, 65_535),
    )
    .option(
      '--api-key <key>',
      'clients must send this key; may be given several times. Other users of the machine see it in the list of processes: prefer --api-key-file, or the environment variable SWITCHYARD_API_KEYS with keys separated by commas',
      collect,
    )
    .option('--api-key-file <file>', 'a file of such keys, one on each line')
    .option(
      '--admin-key <key>',
      'allow POST /admin/models, which loads models, with this key; may be given several times (SWITCHYARD_ADMIN_KEYS, too)',
      collect,
    )
    .option('--admin-key-file <file>', 'a file of such keys, one on each line')
    .option(
      '--cors <origin>',
      'let web pages of this origin call the server, such as https://example.org, or * for all; may be given several times',
      collect,
    )
    .option(
      '--replicas <n>',
      'processes for each model, which divide its requests and the processors (default: 1)',
      wholeNumber(1),
    )
    .addOption(
      new Option('--quantize <type>', 'quantize the weights to 8 or 4 bits: less memory, faster, less exact').choices(
        Object.keys(bitsOf),
      ),
    )
    .addOption(checkpointOption())
    .option('--revision <name>', 'for models of the hub: a branch, tag or commit (default: main)')
    .option('--max-input-tokens <n>', 'the most tokens of an input (default: 2048)', wholeNumber(1))
    .option('--max-new-tokens <n>', 'the most tokens of an answer (default: 1024)', wholeNumber(1))
    .option('--max-rows <n>', 'the most answers and beams that a process decodes at once (default: 64)', wholeNumber(1))
    .option(
      '--max-cache <MiB>',
      "the most memory of a process for its answers' keys and values (default: 1024)",
      wholeNumber(1),
    )
    .option(
      '--max-queue <n>',
      'the most answers, or beams, that wait or run at once; more are refused (default: 2048)',
      wholeNumber(1),
    )
    .option('--deadline <seconds>', 'end requests that take longer; 0: never (default: 600)', anyNumber)
    .option(
      '--answer-separator <text>',
      'what follows the last occurrence of this text in a prompt is the beginning of the answer, such as "Answer:" for lm-evaluation-harness',
    )
    .option('--template <file>', 'a Jinja template that makes one prompt of the messages of a chat')
    .addOption(
      new Option('--log-level <level>', 'what is logged (default: info)').choices([
        'silent',
        'error',
        'warn',
        'info',
        'debug',
      ]),
    )
    .addHelpText('after', examples)
    .action(async (models: string[], options: ServeOptions) => {
      const { serveModels } = await import('./serving.js')
      await serveModels(models, options)
    })
