// The settings of the local stack, and the environment variable of each.

import { join, resolve } from 'node:path'
import { localAddress } from '../processes/ports.ts'
import { StackError } from '../processes/stack-error.ts'

export const serviceNames = ['primary', 'standby', 'aws'] as const

export type ServiceName = (typeof serviceNames)[number]

export type StackSettings = {
  /** Data, logs and the state file. */
  directory: string
  ports: Record<ServiceName, number>
  /** The checkpoint table's name. */
  table: string
}

export const projectDirectory = join(import.meta.dirname, '../..')

/** The variable that moves a service to another port, for remedies. */
export const portVariables: Record<ServiceName, string> = {
  primary: 'GAPLESS_PRIMARY_PORT',
  standby: 'GAPLESS_STANDBY_PORT',
  aws: 'GAPLESS_AWS_PORT',
}

const defaultPorts: Record<ServiceName, number> = { primary: 9092, standby: 9093, aws: 4566 }

export const serviceLabels: Record<ServiceName, string> = {
  primary: 'primary Kafka',
  standby: 'standby Kafka',
  aws: 'AWS endpoints',
}

/** Reads the environment. @throws StackError for an invalid port, or one that is given twice. */
export function readSettings(env: NodeJS.ProcessEnv = process.env): StackSettings {
  const ports = {
    primary: readPort('primary', env),
    standby: readPort('standby', env),
    aws: readPort('aws', env),
  }
  if (new Set(Object.values(ports)).size < serviceNames.length) {
    const shown = serviceNames.map(name => `${portVariables[name]}=${ports[name]}`).join(', ')
    throw new StackError(`Two services have the same port (${shown}).`, 'Give each its own.')
  }
  return {
    directory: resolve(projectDirectory, env.GAPLESS_STACK_DIR || join('.gapless', 'stack')),
    ports,
    table: env.GAPLESS_TABLE || 'gapless',
  }
}

function readPort(name: ServiceName, env: NodeJS.ProcessEnv): number {
  const text = env[portVariables[name]]
  if (text === undefined || text === '') return defaultPorts[name]
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new StackError(
    `${portVariables[name]} is "${text}", but must be a port between 1 and 65535.`,
    `Correct it, or unset it for ${defaultPorts[name]}.`,
  )
}

/** `127.0.0.1:9092`, or the address as a URL for the AWS endpoints. */
export function describeAddress(name: ServiceName, settings: StackSettings): string {
  const address = `${localAddress}:${settings.ports[name]}`
  return name === 'aws' ? `http://${address}` : address
}

/** Environment variables that make a process use the stack's AWS endpoints and table, not AWS. */
export function createAwsEnvironment(settings: StackSettings): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: describeAddress('aws', settings),
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    GAPLESS_TABLE: settings.table,
  }
}
