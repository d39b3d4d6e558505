// The local stack: two Kafka clusters and AWS endpoints on this machine. `npm run stack --
// up|down|status|logs`, and the same as functions for `npm start`. Owns which engine runs the
// stack; not how (engine/host-stack.ts, engine/docker-stack.ts).

import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import Table from 'cli-table3'
import { Argument, Command } from 'commander'
import { createComposeCommand, dockerStack } from './engine/docker-stack.ts'
import { hostStack } from './engine/host-stack.ts'
import type { ServiceStatus, StackEngine } from './engine/stack-engine.ts'
import { createCheckpointTable, createCommitLog } from './engine/stack-preparation.ts'
import {
  describeAddress,
  readSettings,
  type ServiceName,
  type StackSettings,
  serviceNames,
} from './engine/stack-settings.ts'
import { readState } from './engine/stack-state.ts'
import { withLock } from './processes/folder-lock.ts'
import { type Report, reportToStandardError, StackError } from './processes/stack-error.ts'
import { isDockerAnswering } from './processes/tools.ts'

/**
 * Starts the services that do not run and waits until each answers; creates the checkpoint table
 * and, unless `topics` is false, the topic `commit-log`. @param options.onStart is called before a
 * service is started, for a command that may be interrupted before this returns. @returns the
 * services it started: none when the stack was up. @throws StackError
 */
export async function up(
  options: { topics?: boolean; report?: Report; onStart?: (service: ServiceName) => void } = {},
): Promise<{ started: ServiceName[] }> {
  const settings = readSettings()
  const report = options.report ?? reportToStandardError
  await mkdir(settings.directory, { recursive: true })
  return withLock({ path: join(settings.directory, 'up.lock'), report }, async () => {
    const engine = await chooseEngine(settings)
    const started = await engine.up(settings, { report, onStart: options.onStart })
    await createCheckpointTable(settings)
    if (options.topics !== false) await createCommitLog(settings, report)
    return { started }
  })
}

/**
 * Stops the services that `up` started, by process id, and nothing else; removes the brokers' data
 * unless `keepData`. Takes no lock: it must work while an `up` hangs.
 * @returns the services that were running. @throws StackError
 */
export async function down(
  options: { services?: readonly ServiceName[]; keepData?: boolean; report?: Report } = {},
): Promise<{ stopped: ServiceName[] }> {
  const settings = readSettings()
  const report = options.report ?? reportToStandardError
  const engine = await chooseEngine(settings)
  return { stopped: await engine.down(settings, { ...options, report }) }
}

/** One row for each service, whether it runs or not. @throws StackError */
export async function status(): Promise<ServiceStatus[]> {
  const settings = readSettings()
  return (await chooseEngine(settings)).status(settings)
}

/**
 * The engine of a running stack stays. For a new stack, `GAPLESS_STACK` (`host`, `docker`) decides,
 * and without it whether Docker answers.
 */
async function chooseEngine(settings: StackSettings): Promise<StackEngine> {
  const { engine } = readState(settings.directory)
  if (engine !== undefined) return engine === 'docker' ? dockerStack : hostStack
  const wanted = process.env.GAPLESS_STACK || 'automatic'
  if (wanted === 'host') return hostStack
  if (wanted !== 'docker' && wanted !== 'automatic') {
    throw new StackError(
      `GAPLESS_STACK is "${wanted}", but must be "host" or "docker".`,
      'Correct it, or unset it.',
    )
  }
  if (await isDockerAnswering()) return dockerStack
  if (wanted === 'automatic') return hostStack
  throw new StackError(
    'GAPLESS_STACK is "docker", but no Docker engine answers ("docker info" fails).',
    'Start the engine, or unset GAPLESS_STACK to run processes instead.',
  )
}

async function runUp(options: { topics: boolean }): Promise<void> {
  const { started } = await up(options)
  const settings = readSettings()
  const addresses = serviceNames
    .map(name => `${name} ${describeAddress(name, settings)}`)
    .join(', ')
  const already = started.length === 0 ? 'already ' : ''
  console.log(`The stack is ${already}up: ${addresses}`)
}

async function runDown(options: { keepData?: boolean }): Promise<void> {
  const { stopped } = await down(options)
  console.log(stopped.length === 0 ? 'Nothing of this stack was running.' : 'The stack is down.')
}

/** Exit code 1 unless every service answers, for scripts. */
async function runStatus(): Promise<void> {
  const rows = await status()
  const table = new Table({
    head: ['service', 'address', 'pid', 'state', 'answers'],
    // Plain text, for logs and scripts.
    style: { head: [], border: [] },
  })
  for (const { service, address, pid, state, answers } of rows) {
    table.push([service, address, pid ?? '-', state, answers ? 'yes' : 'no'])
  }
  console.log(table.toString())
  if (rows.some(row => !row.answers)) process.exitCode = 1
}

async function runLogs(
  service: ServiceName | undefined,
  options: { lines: string; follow?: boolean },
): Promise<void> {
  const settings = readSettings()
  const names = service === undefined ? serviceNames : [service]
  const engine = await chooseEngine(settings)
  const files = engine.findLogFiles(settings, names)
  if (engine === hostStack && files.length === 0) {
    throw new StackError('There are no logs yet.', 'Start the stack with "npm run stack -- up".')
  }
  const compose = [
    'logs',
    '--tail',
    options.lines,
    ...(options.follow ? ['--follow'] : []),
    ...names,
  ]
  const { command, args, env } =
    engine === dockerStack
      ? createComposeCommand(settings, compose)
      : {
          command: 'tail',
          args: ['-n', options.lines, ...(options.follow ? ['-F'] : []), ...files],
          env: process.env,
        }
  const child = spawn(command, args, { stdio: 'inherit', env })
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    // Ctrl-C ends following; the exit code is null then.
    child.once('close', code => resolve(code ?? 0))
  })
}

function createProgram(): Command {
  const program = new Command('stack').description(
    'Two Kafka clusters and AWS endpoints on this machine, for trying gapless and for its tests.',
  )
  program
    .command('up')
    .description('start the services that do not run, and wait until they answer')
    .option('--no-topics', 'do not create topic commit-log on the primary')
    .action(runUp)
  program
    .command('down')
    .description('stop the services that "up" started')
    .option('--keep-data', "keep the brokers' data (the checkpoint table is gone in any case)")
    .action(runDown)
  program
    .command('status')
    .description('show which services run and answer; exit code 1 unless all answer')
    .action(runStatus)
  program
    .command('logs')
    .description('show the last lines of the logs')
    .addArgument(new Argument('[service]').choices(serviceNames))
    .option('-n, --lines <count>', 'lines of each log', '40')
    .option('-f, --follow', 'keep printing new lines')
    .action(runLogs)
  return program
}

if (import.meta.main) {
  try {
    await createProgram().parseAsync()
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
