// The state that one stack command leaves for the next: the processes it started. One JSON file,
// replaced as a whole.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { StackError } from '../processes/stack-error.ts'
import type { ServiceName } from './stack-settings.ts'

const serviceRecord = z.strictObject({
  pid: z.int().positive(),
  startedAt: z.string(),
  port: z.int(),
  logFile: z.string(),
  flavour: z.enum(['localstack', 'dynamodb-local']).optional(),
})

const stackState = z.strictObject({
  /** The engine that runs the services; undefined: none run. */
  engine: z.enum(['host', 'docker']).optional(),
  services: z.strictObject({
    primary: serviceRecord.optional(),
    standby: serviceRecord.optional(),
    aws: serviceRecord.optional(),
  }),
})

export type ServiceRecord = z.infer<typeof serviceRecord>
export type StackState = z.infer<typeof stackState>

/**
 * @returns an empty state where no file exists yet.
 * @throws StackError when the file has another form.
 */
export function readState(directory: string): StackState {
  const file = stateFile(directory)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { services: {} }
    throw error
  }
  try {
    return stackState.parse(JSON.parse(text))
  } catch (error) {
    throw new StackError(
      `${file} is not a state of this stack.`,
      'Stop processes of the stack that still run ("ss -ltnp" lists them), remove the file, and try again.',
      { cause: error },
    )
  }
}

/**
 * Stores a service as soon as its process runs. Synchronous, so that no interrupt comes between.
 */
export function recordService(
  directory: string,
  service: { name: ServiceName; record: ServiceRecord },
): void {
  const { services } = readState(directory)
  writeState(directory, {
    engine: 'host',
    services: { ...services, [service.name]: service.record },
  })
}

/** Removes stopped services; with the last one, or where Docker ran them, the engine, too. */
export function forgetServices(directory: string, names: readonly ServiceName[]): void {
  const { engine, services } = readState(directory)
  for (const name of names) delete services[name]
  const isEmpty = Object.keys(services).length === 0
  writeState(directory, isEmpty || engine === undefined ? { services } : { engine, services })
}

/** Stores only that Docker runs the stack: Docker itself knows its containers. */
export function recordDocker(directory: string): void {
  writeState(directory, { engine: 'docker', services: {} })
}

function writeState(directory: string, state: StackState): void {
  mkdirSync(directory, { recursive: true })
  const file = stateFile(directory)
  const next = `${file}.${process.pid}`
  writeFileSync(next, `${JSON.stringify(state, null, 2)}\n`)
  renameSync(next, file)
}

function stateFile(directory: string): string {
  return join(directory, 'state.json')
}
