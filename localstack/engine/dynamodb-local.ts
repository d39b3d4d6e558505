// DynamoDB Local as a process of this machine. It keeps its data in memory and is empty after a
// restart, unless `durable`. Serves tests that need only a table, and the stack where LocalStack
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
  /** The folder of the log, and of the tables where `durable`. */
  dir: string
  /** Default: a free one. */
  port?: number
  /** true: tables are stored in `dir` and survive a restart there. Default false. */
  durable?: boolean
  /** true: DynamoDB Local outlives this process. Default false: it is killed with it. */
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
        remedy: 'Correct the cause and try again.',
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
    // One database for all credentials and regions: the stack and its clients may use different
    // ones.
    '-sharedDb',
    '-disableTelemetry',
  ]
}
