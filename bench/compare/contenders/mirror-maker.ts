// Owns MirrorMaker 2 as a contender: its properties (as shipped, and as its documentation tunes it)
// and its process, started with the flags of bin/connect-mirror-maker.sh. It follows until it is
// killed; the sections decide when it has copied everything.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchKafka } from '../../../localstack/artifacts.ts'
import {
  killProcess,
  type StartedProcess,
  startProcess,
} from '../../../localstack/processes/os-process.ts'
import { findJava } from '../../../localstack/processes/tools.ts'
import { machineMs } from '../../part.ts'
import type { ContenderName } from '../results/results.ts'
import type { Contender, Job, RunningContender } from './contender.ts'

export type MirrorMakerOptions = {
  readonly name: ContenderName
  /** false: the defaults. true: tuned for throughput as its documentation says. */
  readonly tuned: boolean
  /**
   * The codec of the source's batches, used where `tuned`. Without it MirrorMaker 2 writes
   * uncompressed batches, and the standby stores more bytes than the source.
   */
  readonly compression?: 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** Properties added to the rendered ones, or in place of them. */
  readonly properties?: Readonly<Record<string, string>>
}

const MAIN_CLASS = 'org.apache.kafka.connect.mirror.MirrorMaker'
const ENDED_POLL_MS = 200
const LOG_CHARACTERS_MAX = 4_000

/** The value of the documentation's example; four tasks did not copy faster on two cores. */
export const TASKS_MAX = 2

/**
 * The JVM flags of bin/connect-mirror-maker.sh and bin/kafka-run-class.sh in an empty environment.
 */
const jvmFlags = [
  '-Xms256M',
  '-Xmx2G',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
  '-Dcom.sun.management.jmxremote=true',
  '-Dcom.sun.management.jmxremote.authenticate=false',
  '-Dcom.sun.management.jmxremote.ssl=false',
]

/**
 * Level INFO as in config/connect-log4j2.yaml. slf4j-simple writes to standard error: the log file.
 */
const logFlags = [
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=info',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
]

export function mirrorMaker(options: MirrorMakerOptions): Contender {
  return {
    name: options.name,
    memoryMaxMb: null,
    async start(job) {
      const [java, jars] = await Promise.all([findJava(), fetchKafka()])
      await mkdir(job.dir, { recursive: true })
      const propertiesFile = join(job.dir, 'mm2.properties')
      await writeFile(propertiesFile, renderMirrorMaker(job, options))
      const logFile = logFileOf(job)
      const startedAtMs = machineMs()
      const process = await startProcess({
        command: java,
        args: [...jvmFlags, ...logFlags, '-cp', join(jars, '*'), MAIN_CLASS, propertiesFile],
        logFile,
        detached: false,
      })
      return watch(process, { name: options.name, logFile, startedAtMs })
    },
  }
}

/** The log file of a run; a restart in the same folder appends to it. */
export function logFileOf(job: Job): string {
  return join(job.dir, 'mm2.log')
}

function watch(
  process: StartedProcess,
  how: { readonly name: string; readonly logFile: string; readonly startedAtMs: number },
): RunningContender {
  const { name, logFile, startedAtMs } = how
  const { promise: failed, reject } = Promise.withResolvers<never>()
  // A caller that does not await `failed` must not get an unhandled rejection.
  failed.catch(() => undefined)
  const poll = setInterval(async () => {
    const ended = process.ended()
    if (ended === undefined) return
    clearInterval(poll)
    const log = await readFile(logFile, 'utf8')
    reject(new Error(`${name} ended (${ended}): ${log.slice(-LOG_CHARACTERS_MAX)}`))
  }, ENDED_POLL_MS)
  poll.unref()
  return {
    pid: process.pid,
    startedAtMs,
    failed,
    async kill() {
      clearInterval(poll)
      await killProcess(process)
    },
  }
}

/** The mm2.properties of one run, in the dialect of dedicated mode (MirrorMakerConfig). */
export function renderMirrorMaker(job: Job, options: Omit<MirrorMakerOptions, 'name'>): string {
  const properties: Record<string, string> = {
    ...routeProperties(job),
    ...singleBrokerProperties,
    ...(options.tuned ? tunedProperties(job, options.compression) : {}),
    ...options.properties,
  }
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

/**
 * The target's alias contains the route, too: the heartbeat worker names its group and internal
 * topics after the alias, and would wait for the session of a killed worker with the same name.
 */
export function targetAliasOf(job: Job): string {
  return `standby-${job.route}`
}

function flowOf(job: Job): string {
  return `${job.route}->${targetAliasOf(job)}`
}

function routeProperties(job: Job): Record<string, string> {
  return {
    clusters: `${job.route}, ${targetAliasOf(job)}`,
    [`${job.route}.bootstrap.servers`]: job.sourceBrokers,
    [`${targetAliasOf(job)}.bootstrap.servers`]: job.targetBrokers,
    [`${flowOf(job)}.enabled`]: 'true',
    // The property is a list of regular expressions; dots are the only special characters in names.
    [`${flowOf(job)}.topics`]: job.topic.replaceAll('.', '[.]'),
  }
}

/** Required by a cluster of one broker: the defaults are 2 or 3. */
const singleBrokerProperties: Readonly<Record<string, string>> = {
  'replication.factor': '1',
  'checkpoints.topic.replication.factor': '1',
  'heartbeats.topic.replication.factor': '1',
  'offset-syncs.topic.replication.factor': '1',
  'offset.storage.replication.factor': '1',
  'status.storage.replication.factor': '1',
  'config.storage.replication.factor': '1',
}

/**
 * For throughput. Under the flow's own prefix `consumer.` is the consumer of the source, and
 * `producer.override.` the producer of the copy alone; `<target>.producer.` would be those of
 * Connect's internal topics, too (MirrorMakerConfig.workerConfig, Worker.baseProducerConfigs).
 * "Strimzi" is the chapter on high volumes of its documentation, the same as chapter 6 of Red Hat's
 * "Kafka configuration tuning": its example for MirrorMaker 2 has these figures.
 */
function tunedProperties(
  job: Job,
  compression: MirrorMakerOptions['compression'],
): Record<string, string> {
  const consumer = (name: string) => `${flowOf(job)}.consumer.${name}`
  const producer = (name: string) => `${flowOf(job)}.producer.override.${name}`
  return {
    // Strimzi: 2. Default 1. (Aiven's guide: close to the number of partitions.)
    'tasks.max': String(Math.min(job.partitions, TASKS_MAX)),
    // Strimzi. The same as the defaults of Kafka's consumer today.
    [consumer('fetch.max.bytes')]: '52428800',
    [consumer('max.partition.fetch.bytes')]: '1048576',
    [consumer('max.poll.records')]: '500',
    // Strimzi. Defaults 16384 and 5.
    [producer('batch.size')]: '327680',
    [producer('linger.ms')]: '100',
    ...(compression === undefined ? {} : { [producer('compression.type')]: compression }),
    // KIP-898, as MirrorMaker 2's own log advises: without it every class of every jar is scanned
    // three times. Read by the driver and by the worker of each direction.
    'plugin.discovery': 'service_load',
    [`${job.route}.plugin.discovery`]: 'service_load',
    [`${targetAliasOf(job)}.plugin.discovery`]: 'service_load',
    // KIP-382: heartbeats are for monitoring and need a second worker in the other direction.
    'emit.heartbeats.enabled': 'false',
  }
}
