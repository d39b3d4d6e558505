// The stack as processes of this machine, used where no Docker engine answers. They are started
// detached and stored by pid and start time, so that `down` stops these processes and no others.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fetchKafka } from '../artifacts.ts'
import { startKafka } from '../kafka/broker.ts'
import { askBroker } from '../kafka/readiness.ts'
import { removeKafkaData } from '../kafka/storage.ts'
import { askHttp } from '../processes/http-service.ts'
import { isRunning, type ProcessIdentity, stopProcess } from '../processes/os-process.ts'
import { describePortHolder, isPortFree, localAddress } from '../processes/ports.ts'
import { type Report, StackError } from '../processes/stack-error.ts'
import { findJava } from '../processes/tools.ts'
import { type AwsFlavour, awsHealthPaths, chooseAwsFlavour, fetchAws, startAws } from './aws.ts'
import type { DownOptions, ServiceStatus, StackEngine, UpOptions } from './stack-engine.ts'
import {
  describeAddress,
  portVariables,
  type ServiceName,
  type StackSettings,
  serviceLabels,
  serviceNames,
} from './stack-settings.ts'
import { forgetServices, readState, recordService, type ServiceRecord } from './stack-state.ts'

const answerPollMs = 200
/** A service that runs already may have been started a moment ago by another "up". */
const answerDeadlineMs = 60_000

export const hostStack: StackEngine = { up, down, status, findLogFiles }

/**
 * Starts the services that do not run; a broker that died keeps its data. @returns those started.
 */
async function up(settings: StackSettings, options: UpOptions): Promise<ServiceName[]> {
  const missing = serviceNames.filter(name => !isServiceRunning(name, settings))
  for (const name of missing) await checkPort(name, settings)
  const startOne = await prepareStart(missing, settings, options.report)
  const waits = serviceNames.map(async name => {
    if (missing.includes(name)) {
      options.onStart?.(name)
      await startOne(name)
    } else {
      await waitForAnswer(name, settings)
    }
  })
  // Waits for all: a start that is still under way when the first one fails must not go on unseen.
  for (const outcome of await Promise.allSettled(waits)) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
  return missing
}

/**
 * Whether the process that this stack started still runs.
 * @throws StackError when it runs on another port than the settings name now.
 */
function isServiceRunning(name: ServiceName, settings: StackSettings): boolean {
  const record = readState(settings.directory).services[name]
  if (record === undefined || !isRunning(record)) return false
  if (record.port === settings.ports[name]) return true
  const wanted = `${portVariables[name]}=${settings.ports[name]}`
  throw new StackError(
    `The ${serviceLabels[name]} runs on port ${record.port}, but now it should be ${wanted}.`,
    'Run "npm run stack -- down" first.',
  )
}

async function checkPort(name: ServiceName, settings: StackSettings): Promise<void> {
  const port = settings.ports[name]
  if (await isPortFree(port)) return
  const holder = describePortHolder(port)
  throw new StackError(
    `The ${serviceLabels[name]} cannot start: ${localAddress}:${port} is already in use${holder}.`,
    `Stop that process (it does not belong to this stack), or set ${portVariables[name]} to another port.`,
  )
}

/** Finds and downloads only what the missing services need; then all can start at the same time. */
async function prepareStart(
  missing: readonly ServiceName[],
  settings: StackSettings,
  report: Report,
): Promise<(name: ServiceName) => Promise<void>> {
  if (missing.length === 0) return async () => {}
  await findJava()
  if (missing.some(name => name !== 'aws')) await fetchKafka(report)
  const flavour = missing.includes('aws') ? await chooseAwsFlavour(report) : 'dynamodb-local'
  if (missing.includes('aws')) await fetchAws(flavour, report)
  const { services } = readState(settings.directory)
  return async name => {
    reportStart({ name, died: services[name], report })
    try {
      await startService({ name, settings, flavour, report })
    } catch (error) {
      forgetServices(settings.directory, [name])
      throw error
    }
  }
}

function reportStart(start: {
  name: ServiceName
  died: ProcessIdentity | undefined
  report: Report
}): void {
  const label = serviceLabels[start.name]
  if (start.died === undefined) {
    start.report(`Starting the ${label}...`)
  } else if (start.name === 'aws') {
    start.report(
      `The ${label} had died (pid ${start.died.pid}): starting them again, but empty: ` +
        'the checkpoints and incidents were kept in memory.',
    )
  } else {
    start.report(
      `The ${label} had died (pid ${start.died.pid}): starting it again with its data...`,
    )
  }
}

async function startService(start: {
  name: ServiceName
  settings: StackSettings
  flavour: AwsFlavour
  report: Report
}): Promise<void> {
  const { name, settings, flavour, report } = start
  const port = settings.ports[name]
  const dir = join(settings.directory, name)
  const logFile = join(dir, name === 'aws' ? `${flavour}.log` : 'kafka.log')
  const onSpawn = (process: ProcessIdentity) => {
    const record = { ...process, port, logFile, ...(name === 'aws' ? { flavour } : {}) }
    recordService(settings.directory, { name, record })
  }
  const options = { dir, port, detached: true, onSpawn, report }
  const { pid } =
    name === 'aws'
      ? await startAws({ ...options, flavour })
      : await startKafka({ ...options, name })
  const what = name === 'aws' ? ` (${flavour})` : ''
  report(`The ${serviceLabels[name]}${what}: ${describeAddress(name, settings)} (pid ${pid})`)
}

/** @throws StackError when a process of this stack runs but does not answer. */
async function waitForAnswer(name: ServiceName, settings: StackSettings): Promise<void> {
  const deadline = Date.now() + answerDeadlineMs
  while (Date.now() < deadline) {
    if (await isAnswering(name, settings)) return
    await delay(answerPollMs)
  }
  const record = readState(settings.directory).services[name]
  const seconds = answerDeadlineMs / 1_000
  throw new StackError(
    `The ${serviceLabels[name]} runs (pid ${record?.pid}) but did not answer for ${seconds} s.`,
    `Its log is ${record?.logFile}; "npm run stack -- down" and "npm run stack -- up" start it again.`,
  )
}

async function isAnswering(name: ServiceName, settings: StackSettings): Promise<boolean> {
  if (name !== 'aws') return (await askBroker(settings.ports[name])).kind === 'ready'
  const flavour = readState(settings.directory).services.aws?.flavour ?? 'localstack'
  return (await askHttp(describeAddress('aws', settings) + awsHealthPaths[flavour])) !== undefined
}

/**
 * Stops the processes of this stack and no others, and removes the brokers' data.
 * @returns the services that were running.
 */
async function down(settings: StackSettings, options: DownOptions): Promise<ServiceName[]> {
  const { services } = readState(settings.directory)
  const known = (options.services ?? serviceNames).filter(name => services[name] !== undefined)
  const stopped = await Promise.all(
    known.map(async name => {
      const record = services[name]
      const wasRunning = record !== undefined && isRunning(record)
      if (wasRunning) await stopProcess(record)
      if (name !== 'aws' && !options.keepData) await removeKafkaData(join(settings.directory, name))
      options.report(describeStop({ name, record, wasRunning }))
      return wasRunning ? [name] : []
    }),
  )
  forgetServices(settings.directory, known)
  return stopped.flat()
}

function describeStop(stop: {
  name: ServiceName
  record: ServiceRecord | undefined
  wasRunning: boolean
}): string {
  const label = serviceLabels[stop.name]
  const pid = stop.record?.pid
  if (stop.wasRunning) return `Stopped the ${label} (pid ${pid})`
  return `The ${label} had ended before (pid ${pid} is no process of this stack)`
}

async function status(settings: StackSettings): Promise<ServiceStatus[]> {
  const { services } = readState(settings.directory)
  return Promise.all(
    serviceNames.map(async (name): Promise<ServiceStatus> => {
      const record = services[name]
      const address = describeAddress(name, settings)
      if (record !== undefined && isRunning(record)) {
        const answers = await isAnswering(name, settings)
        return { service: name, address, pid: record.pid, state: 'running', answers }
      }
      const isFree = await isPortFree(settings.ports[name])
      const state = isFree ? (record === undefined ? 'not started' : 'died') : 'port taken'
      return { service: name, address, pid: undefined, state, answers: false }
    }),
  )
}

function findLogFiles(settings: StackSettings, names: readonly ServiceName[]): string[] {
  const files: Record<ServiceName, string[]> = {
    primary: ['kafka.log'],
    standby: ['kafka.log'],
    aws: ['localstack.log', 'dynamodb-local.log'],
  }
  const paths = names.flatMap(name => files[name].map(file => join(settings.directory, name, file)))
  return paths.filter(path => existsSync(path))
}
