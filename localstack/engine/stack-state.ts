// What the stack's commands remember between them: which processes they started. One JSON file,
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
  /** Who runs the services; nobody while undefined. */
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
 * @returns an empty state where none was written yet.
 * @throws StackError when the file is not one of ours.
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
      'Stop what may still run ("ss -ltnp" shows it), remove the file, and try again.',
      { cause: error },
    )
  }
}

/**
 * Remembers a service as soon as its process runs. Synchronous, so that no interrupt comes in
 * between.
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

/** Forgets services that were stopped; with the last one, or where Docker had them, the engine. */
export function forgetServices(directory: string, names: readonly ServiceName[]): void {
  const { engine, services } = readState(directory)
  for (const name of names) delete services[name]
  const isEmpty = Object.keys(services).length === 0
  writeState(directory, isEmpty || engine === undefined ? { services } : { engine, services })
}

/** Docker knows its containers; only that it runs them is ours to remember. */
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
