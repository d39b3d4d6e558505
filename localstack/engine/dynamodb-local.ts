// DynamoDB Local as a process of this machine: in memory, so a restart is an empty one, unless it
// is told to keep its data. Serves tests that need only a table, and the stack where LocalStack
// cannot run.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchDynamoDbLocal } from '../artifacts.ts'
import { type HttpService, startHttpService } from '../processes/http-service.ts'
import type { OnSpawn } from '../processes/os-process.ts'
import { findFreePort } from '../processes/ports.ts'
import { type Report, reportToStandardError, StackError } from '../processes/stack-error.ts'
import { findJava } from '../processes/tools.ts'

export type DynamoDbLocalOptions = {
  /** The log's folder. */
  dir: string
  /** Without it, a free one. */
  port?: number
  /** true: the tables lie in `dir`, and the next one started there has them. Default false. */
  durable?: boolean
  /** true: the process outlives this one. Default false: it is killed with it. */
  detached?: boolean
  onSpawn?: OnSpawn | undefined
  report?: Report
}

const startAttemptsMax = 3

/**
 * Starts DynamoDB Local and waits until it answers.
 * @throws StackError with a remedy when it does not.
 */
export async function startDynamoDbLocal(options: DynamoDbLocalOptions): Promise<HttpService> {
  const java = await findJava()
  const library = await fetchDynamoDbLocal(options.report ?? reportToStandardError)
  await mkdir(options.dir, { recursive: true })
  for (let count = 1; ; count += 1) {
    const port = options.port ?? (await findFreePort())
    try {
      return await startHttpService({
        label: 'DynamoDB Local',
        command: java,
        args: renderArguments({
          library,
          port,
          dataDir: options.durable === true ? options.dir : null,
        }),
        port,
        healthPath: '/',
        logFile: join(options.dir, 'dynamodb-local.log'),
        detached: options.detached ?? false,
        onSpawn: options.onSpawn,
        remedy: 'Correct what it names and try again.',
      })
    } catch (error) {
      const collided = error instanceof StackError && /already in use/i.test(error.message)
      if (!collided || options.port !== undefined || count === startAttemptsMax) throw error
    }
  }
}

function renderArguments(input: {
  library: string
  port: number
  /** null: in memory. */
  dataDir: string | null
}): string[] {
  const { library, port, dataDir } = input
  return [
    '-Xmx256m',
    `-Djava.library.path=${library}`,
    '-cp',
    join(library, '*'),
    'software.amazon.dynamodb.services.local.main.ServerRunner',
    '-port',
    String(port),
    ...(dataDir === null ? ['-inMemory'] : ['-dbPath', dataDir]),
    // One database whatever the credentials and the region: the stack and its clients need not
    // agree on them.
    '-sharedDb',
    '-disableTelemetry',
  ]
}
