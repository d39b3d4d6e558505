// One real Kafka broker as a process of this machine: formats its storage once, starts it, waits
// until it is ready, stops, kills and restarts it with its data. Does not own which brokers there
// are: that is up to stack.ts and the tests.

import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  killProcess,
  type OnSpawn,
  type StartedProcess,
  startProcess,
  stopProcess,
} from '../processes/os-process.ts'
import { describePortHolder, isPortFree, localAddress } from '../processes/ports.ts'
import { type Report, reportToStandardError, StackError } from '../processes/stack-error.ts'
import { findJava } from '../processes/tools.ts'
import { fetchBrokerJars } from './broker-jars.ts'
import { type BrokerListener, renderProperties } from './properties.ts'
import { findKafkaError, waitForBroker } from './readiness.ts'
import {
  type BrokerIdentity,
  type ClusterIdentity,
  dataDirectory,
  formatOnce,
  formatWithCopy,
  formatWithTool,
  settleIdentity,
} from './storage.ts'
import { fetchWarmStart, type WarmStart } from './warm-start.ts'

export type KafkaOptions = {
  /** The name in errors: `primary`, `standby`, or a test's own. */
  name: string
  /** Kafka's version, `3.9.1`; default: the pinned one. */
  version?: string
  /** The folder of data, properties and log. A used folder is started with the data in it. */
  dir: string
  /** The listener's port. Default: the port that the folder had before, or a free one. */
  port?: number
  /** Properties added to server.properties, or in place of those of properties.ts. */
  properties?: Record<string, string>
  /** Further listeners, with TLS or SASL. Readiness is asked at `port`, which has neither. */
  listeners?: readonly BrokerListener[]
  /** true: the broker outlives this process. Default false: it is killed with it. */
  detached?: boolean
  /** Default 512. */
  heapMb?: number
  /** Set: this broker joins a running cluster, and has no controller of its own. */
  join?: { cluster: ClusterIdentity; nodeId: number }
  onSpawn?: OnSpawn | undefined
  report?: Report
}

export type KafkaBroker = {
  name: string
  /** `127.0.0.1:port`, for clients. */
  brokers: string
  port: number
  cluster: ClusterIdentity
  dir: string
  logFile: string
  /** The present process's pid; `restart` changes it. */
  readonly pid: number
  /** Distinguishes the process from a later one with the same pid. */
  readonly startedAt: string
  /** SIGTERM (an orderly shutdown), then SIGKILL after 20 s. Resolves when the process is gone. */
  stop(): Promise<void>
  /** SIGKILL. The data stays. Resolves when the process is gone. */
  kill(): Promise<void>
  /** Stops the broker if it runs, and starts it again on the same ports with the same data. */
  restart(): Promise<void>
}

const controllerNodeId = 1
const defaultHeapMb = 512
const startAttemptsMax = 3
/** A JVM that writes its archive took 3 s on an idle machine. */
const rehearsalEndMsMax = 300_000

/**
 * Starts a broker and waits until it answers and creates topics.
 * @throws StackError when Java is missing, the port is taken, or the broker dies or does not answer
 * at its start.
 */
export async function startKafka(options: KafkaOptions): Promise<KafkaBroker> {
  const report = options.report ?? reportToStandardError
  const java = await findJava()
  const jars = await fetchBrokerJars(options.version, report)
  const warmStart = await fetchWarmStart({
    ...{ java, jars, report },
    rehearse: async ({ dir, jvmArgs, work }) => {
      const broker = await startPrepared({ name: 'rehearsal', dir }, { java, jars, jvmArgs })
      // The JVM writes its archive at its end.
      await work(broker.brokers).finally(() => stopProcess(broker, rehearsalEndMsMax))
    },
  })
  return startPrepared(options, { java, jars, ...warmStart })
}

type Prepared = {
  java: string
  jars: string
  jvmArgs: WarmStart['jvmArgs']
  /** Left out: the storage tool formats the folder. */
  metadataFile?: WarmStart['metadataFile']
}

async function startPrepared(options: KafkaOptions, prepared: Prepared): Promise<KafkaBroker> {
  await mkdir(options.dir, { recursive: true })
  const logFile = join(options.dir, 'kafka.log')
  const start = (settled?: BrokerIdentity) =>
    startWithRetry({ options, prepared, logFile, ...(settled === undefined ? {} : { settled }) })

  let { process, identity } = await start()
  return {
    name: options.name,
    brokers: `${localAddress}:${identity.port}`,
    port: identity.port,
    cluster: { clusterId: identity.clusterId, controllerPort: identity.controllerPort },
    dir: options.dir,
    logFile,
    get pid() {
      return process.pid
    },
    get startedAt() {
      return process.startedAt
    },
    stop: () => stopProcess(process),
    kill: () => killProcess(process),
    restart: async () => {
      await stopProcess(process)
      ;({ process, identity } = await start(identity))
    },
  }
}

type Attempt = {
  options: KafkaOptions
  prepared: Prepared
  logFile: string
  /** Set at a restart, which must get the same ports. */
  settled?: BrokerIdentity
}

type Started = { process: StartedProcess; identity: BrokerIdentity }

/** Another process may take a free port before the broker binds it: then other ports are tried. */
async function startWithRetry(attempt: Attempt): Promise<Started> {
  for (let count = 1; ; count += 1) {
    const identity = attempt.settled ?? (await settle(attempt.options, { newPorts: count > 1 }))
    try {
      return { process: await startOnce(attempt, identity), identity }
    } catch (error) {
      const collided = error instanceof StackError && /already in use/i.test(error.message)
      const mayChoose = attempt.settled === undefined && count < startAttemptsMax
      if (!collided || !mayChoose) throw error
    }
  }
}

async function settle(
  options: KafkaOptions,
  { newPorts }: { newPorts: boolean },
): Promise<BrokerIdentity> {
  const { dir, port, join: joined } = options
  const identity = await settleIdentity(dir, { port, cluster: joined?.cluster, newPorts })
  if (await isPortFree(identity.port)) return identity
  if (port !== undefined || newPorts) throw portTaken(options.name, identity.port)
  return settle(options, { newPorts: true })
}

function portTaken(name: string, port: number): StackError {
  const address = `${localAddress}:${port}`
  return new StackError(
    `Kafka "${name}" cannot start: ${address} is already in use${describePortHolder(port)}.`,
    'Stop the process that listens there, or choose another port.',
  )
}

async function startOnce(attempt: Attempt, identity: BrokerIdentity): Promise<StartedProcess> {
  const { options, prepared, logFile } = attempt
  const { java, jars, jvmArgs, metadataFile } = prepared
  const nodeId = options.join?.nodeId ?? controllerNodeId
  const propertiesFile = join(options.dir, 'server.properties')
  const rendered = renderProperties({
    nodeId,
    port: identity.port,
    controllerPort: identity.controllerPort,
    controllerNodeId,
    dataDirectory: dataDirectory(options.dir),
    listeners: options.listeners ?? [],
    overrides: options.properties ?? {},
  })
  await writeFile(propertiesFile, rendered)
  const { clusterId } = identity
  await formatOnce(options.dir, clusterId, () =>
    metadataFile === undefined
      ? formatWithTool(options.dir, { java, jars, propertiesFile, clusterId })
      : formatWithCopy(options.dir, { metadataFile, clusterId, nodeId }),
  )
  const logStart = existsSync(logFile) ? (await readFile(logFile)).length : 0
  const process = await startProcess({
    command: java,
    args: [
      `-Xmx${options.heapMb ?? defaultHeapMb}m`,
      ...jvmArgs,
      '-XX:+ExitOnOutOfMemoryError',
      // slf4j-simple writes to standard error, which is the log file. At INFO the short intervals
      // of properties.ts would write several lines a second.
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.utils.AppInfoParser=info',
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
      '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
      '-cp',
      join(jars, '*'),
      'kafka.Kafka',
      propertiesFile,
    ],
    logFile,
    detached: options.detached ?? false,
    onSpawn: options.onSpawn,
  })
  const readLog = async () => (await readFile(logFile)).subarray(logStart).toString('utf8')
  try {
    await waitForBroker({
      port: identity.port,
      clusterId: identity.clusterId,
      ended: process.ended,
    })
  } catch (error) {
    await killProcess(process)
    if (!(error instanceof Error)) throw error
    const reason = findKafkaError(await readLog()) ?? error.message
    throw new StackError(
      `Kafka "${options.name}" did not start on ${localAddress}:${identity.port}: ${reason}`,
      `Its log is ${logFile}.`,
      { cause: error },
    )
  }
  return process
}
