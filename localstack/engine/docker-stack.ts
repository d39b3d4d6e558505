// The stack as containers, used where a Docker engine answers. docker-compose.yml defines them.

import { join } from 'node:path'
import { askBroker } from '../kafka/readiness.ts'
import { askHttp } from '../processes/http-service.ts'
import { runCommand } from '../processes/os-process.ts'
import { isPortOpen } from '../processes/ports.ts'
import { StackError } from '../processes/stack-error.ts'
import type { DownOptions, ServiceStatus, StackEngine, UpOptions } from './stack-engine.ts'
import {
  describeAddress,
  portVariables,
  type ServiceName,
  type StackSettings,
  serviceNames,
} from './stack-settings.ts'
import { forgetServices, recordDocker } from './stack-state.ts'

export const composeFile = join(import.meta.dirname, '../docker-compose.yml')

export const dockerStack: StackEngine = { up, down, status, findLogFiles: () => [] }

/** The command line of `docker compose`, and the environment with the ports that its file reads. */
export function createComposeCommand(
  settings: StackSettings,
  args: readonly string[],
): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
  const ports = serviceNames.map(name => [portVariables[name], String(settings.ports[name])])
  return {
    command: 'docker',
    args: ['compose', '--project-name', 'gapless', '--file', composeFile, ...args],
    env: { ...process.env, ...Object.fromEntries(ports) },
  }
}

/** Compose leaves running containers alone, starts dead ones, and waits for the health checks. */
async function up(settings: StackSettings, options: UpOptions): Promise<ServiceName[]> {
  const missing = (await status(settings)).filter(row => row.state !== 'running')
  const names = missing.map(row => row.service)
  if (names.length === 0) return []
  const taken = missing.find(row => row.state === 'port taken')
  if (taken !== undefined) {
    throw new StackError(
      `The container ${taken.service} cannot start: ${taken.address} is already in use.`,
      `Stop the process that listens there, or set ${portVariables[taken.service]} to another port.`,
    )
  }
  options.report('Starting the containers (the first time, their images are pulled)...')
  for (const name of names) options.onStart?.(name)
  recordDocker(settings.directory)
  await runCompose(settings, ['up', '--detach', '--wait', ...serviceNames])
  for (const name of names) options.report(`${name}: ${describeAddress(name, settings)}`)
  return names
}

/** Removes the containers and their volumes. @returns the services that were running. */
async function down(settings: StackSettings, options: DownOptions): Promise<ServiceName[]> {
  const names = options.services ?? serviceNames
  const rows = await status(settings)
  const running = rows.filter(row => names.includes(row.service) && row.state === 'running')
  if (options.keepData) await runCompose(settings, ['stop', ...names])
  else if (names.length < serviceNames.length) {
    await runCompose(settings, ['rm', '--stop', '--force', '--volumes', ...names])
  } else {
    await runCompose(settings, ['--profile', '*', 'down', '--volumes', '--remove-orphans'])
    forgetServices(settings.directory, [])
  }
  for (const row of running) options.report(`Stopped ${row.service}`)
  return running.map(row => row.service)
}

async function runCompose(settings: StackSettings, args: readonly string[]): Promise<void> {
  const { code } = await runCommand({ ...createComposeCommand(settings, args), visible: true })
  if (code === 0) return
  throw new StackError(
    `"docker compose ${args.join(' ')}" failed (exit ${code}); its output is above.`,
    'See "npm run stack -- logs", or use processes instead of containers: GAPLESS_STACK=host.',
  )
}

async function status(settings: StackSettings): Promise<ServiceStatus[]> {
  const states = await readContainerStates(settings)
  return Promise.all(
    serviceNames.map(async (service): Promise<ServiceStatus> => {
      const container = states.get(service)
      const isRunning = container === 'running'
      const isForeign = !isRunning && (await isPortOpen(settings.ports[service]))
      const ended = container === undefined ? 'not started' : 'died'
      return {
        service,
        address: describeAddress(service, settings),
        pid: undefined,
        state: isRunning ? 'running' : isForeign ? 'port taken' : ended,
        answers: isRunning && (await isAnswering(service, settings)),
      }
    }),
  )
}

async function isAnswering(name: ServiceName, settings: StackSettings): Promise<boolean> {
  if (name !== 'aws') return (await askBroker(settings.ports[name])).kind === 'ready'
  return (await askHttp(`${describeAddress('aws', settings)}/_localstack/health`)) !== undefined
}

/**
 * Service to container state (`running`, `exited`, ...). Compose prints one JSON object a line, or
 * (before 2.21) an array.
 */
async function readContainerStates(settings: StackSettings): Promise<Map<string, string>> {
  const command = createComposeCommand(settings, ['ps', '--all', '--format', 'json'])
  const { code, output } = await runCommand(command)
  if (code !== 0) {
    throw new StackError(
      `"docker compose ps" failed (exit ${code}): ${output.trim().split('\n').at(-1)}`,
      'Install the compose plugin and start the engine, or use processes: GAPLESS_STACK=host.',
    )
  }
  const lines = output.split('\n').filter(line => /^[[{]/.test(line))
  const containers = lines.flatMap(line => JSON.parse(line) as unknown)
  const rows = containers as { Service: string; State: string }[]
  return new Map(rows.map(row => [row.Service, row.State]))
}
