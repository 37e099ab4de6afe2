import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'

/** What MPI's processes ask for by `cmd=name key=value ...`, one request or answer a line. */
type Fields = ReadonlyMap<string, string>

/**
 * Answers the questions by which the processes of a job find each other when MPI is initialized: MPICH's protocol PMI,
 * version 1. The processes put addresses into a common table, wait for each other, and read the others' addresses.
 */
export class ProcessManager {
  private readonly table: Map<string, string>
  /** The processes that wait for all others. */
  private readonly waiting: Duplex[] = []

  /** The job's name, after which MPI names the memory that its processes share. No other job has it. */
  private readonly name = `switchyard_${randomUUID()}`

  constructor(private readonly processes: number) {
    // All processes run on this machine: node 0, from there on 1 node of as many processes.
    this.table = new Map([['PMI_process_mapping', `(vector,(0,1,${processes}))`]])
  }

  /** The environment of a process, whose stream is its file descriptor `fd`. */
  environmentOf(rank: number, fd: number): NodeJS.ProcessEnv {
    const size = String(this.processes)
    return {
      PMI_FD: String(fd),
      PMI_RANK: String(rank),
      PMI_SIZE: size,
      PMI_SPAWNED: '0',
    }
  }

  /** Answers the requests of a process. */
  serve(stream: Duplex): void {
    let rest = ''
    // A process that has ended closes its stream.
    stream.on('error', () => undefined)
    stream.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.answer(stream, fieldsOf(line))
    })
  }

  private answer(stream: Duplex, request: Fields): void {
    const reply = (text: string): void => void stream.write(`cmd=${text}\n`)
    switch (request.get('cmd')) {
      case 'init':
        return reply('response_to_init pmi_version=1 pmi_subversion=1 rc=0')
      case 'get_maxes':
        return reply('maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024')
      case 'get_appnum':
        return reply('appnum rc=0 appnum=0')
      case 'get_universe_size':
        return reply(`universe_size rc=0 size=${this.processes}`)
      case 'get_my_kvsname':
        return reply(`my_kvsname rc=0 kvsname=${this.name}`)
      case 'put':
        this.table.set(request.get('key') ?? '', request.get('value') ?? '')
        return reply('put_result rc=0 msg=success')
      case 'get': {
        const value = this.table.get(request.get('key') ?? '')
        return reply(
          `get_result ${value === undefined ? 'rc=-1 msg=key_not_found' : `rc=0 msg=success value=${value}`}`,
        )
      }
      case 'barrier_in':
        if (this.waiting.push(stream) < this.processes) return
        for (const process of this.waiting.splice(0)) process.write('cmd=barrier_out rc=0\n')
        return
      case 'finalize':
        return reply('finalize_ack rc=0')
      default:
        // Without an answer the process would wait for ever. It fails at the closed stream, which ends the job.
        stream.destroy()
    }
  }
}

const fieldsOf = (line: string): Fields =>
  new Map(
    line.split(' ').map(field => {
      const at = field.indexOf('=')
      return [field.slice(0, at), field.slice(at + 1)] as const
    }),
  )
