// The tools of the scenarios of run_challenge.sh: topics and a flow on the local stack, the
// functions as a process that is started and stopped, the command line, and a consumer of the
// standby. Each run has its own topics, flow and configuration, so that the scenarios can be
// repeated and do not interfere with an `npm start` beside them.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Admin, Kafka, KafkaMessage, Producer } from 'kafkajs'
import { createEventSource } from '../../cli/commit-log/event.ts'
import { createKafkaJs } from '../../cli/kafkajs/kafkajs-client.ts'
import type { IncidentReport } from '../../lib/run/operate/report.ts'
import { describeAddress, type StackSettings } from '../engine/stack-settings.ts'
import { readLogEnd, readPartition } from '../kafka/partition-reader.ts'
import { createStackEnvironment, type OfflineFunctions, readLoggedTexts } from '../offline.ts'
import { findFreePort } from '../processes/ports.ts'
import { StackError } from '../processes/stack-error.ts'
import type { Session } from '../session.ts'
import { runGapless } from './run-gapless.ts'

export type At = { readonly topic: string; readonly partition: number }
export type ChallengeWorld = Awaited<ReturnType<typeof openWorld>>

const eventBytes = 200
const pollMs = 300
/** Covers a lease of 20 s that a run left, a scheduled tick that came first, and a busy machine. */
const stateDeadlineMs = 120_000

/** The folder of the runs' configurations and of the functions' logs. */
export function challengeDirectory(settings: StackSettings): string {
  return join(settings.directory, 'challenge')
}

/** The configuration of the last run, with which `status` shows what the run left. */
export function lastConfigFile(settings: StackSettings): string {
  return join(challengeDirectory(settings), 'gapless.yml')
}

/** Connects to the stack, which must be up. The caller closes the world. */
export async function openWorld(session: Session) {
  const { settings } = session
  const run = Date.now().toString(36)
  const prefix = `challenge.${run}.`
  const flow = `challenge-${run}`
  const logFile = join(challengeDirectory(settings), `functions-${run}.log`)
  const configFile = writeConfig(settings, { flow, prefix })
  const env = { ...createStackEnvironment(settings), GAPLESS_CONFIG: configFile }
  const [primary, standby] = [connect(settings, 'primary'), connect(settings, 'standby')]
  const admins = { primary: primary.admin(), standby: standby.admin() }
  const producer = primary.producer({ idempotent: true, maxInFlightRequests: 1 })
  await Promise.all([admins.primary.connect(), admins.standby.connect(), producer.connect()])
  let functions: OfflineFunctions | null = null

  return {
    logFile,
    flow,
    /** Starts the functions, whose only memory is the table, unless they run already. */
    async startFunctions(): Promise<void> {
      if (functions !== null) return
      // A free port, because an `npm start` may use the default one, or be about to.
      const port = await findFreePort()
      const override = { GAPLESS_CONFIG: configFile }
      functions = await session.startFunctions({ port, env: override, logFile })
    },
    async stopFunctions(): Promise<void> {
      await session.stopFunctions()
      functions = null
    },
    /**
     * Invokes `plan` through Lambda's API until `holds` is true. One invocation may not be enough:
     * a tick leaves partitions alone that a scheduled run has leased, and a tick may fail. @returns
     * the number of invocations. @throws StackError after two minutes.
     */
    async tickUntil(what: string, holds: () => Promise<boolean>): Promise<number> {
      if (functions === null) throw new Error('the functions are stopped')
      let ticks = 0
      await until(what, async () => {
        await functions?.invoke('plan')
        ticks += 1
        return holds()
      })
      return ticks
    },
    /** Creates a topic of this run on the primary. @returns its full name. */
    async createTopic(name: string, partitions: number): Promise<string> {
      const topic = prefix + name
      await admins.primary.createTopics({
        waitForLeaders: false,
        topics: [{ topic, numPartitions: partitions }],
      })
      await until(`${topic} answers`, () => hasPartitions(admins.primary, topic, partitions))
      return topic
    },
    /** @returns the produced events, as the primary stores them. */
    produce: (at: At, count: number) => produce(producer, at, count),
    readStandby: ({ topic, partition }: At): Promise<KafkaMessage[]> =>
      readPartition(standby, { topic: `primary.${topic}`, partition }),
    /** The log end offset on the standby; 0 where the topic does not exist. */
    standbyEnd: async ({ topic, partition }: At): Promise<bigint> =>
      (await readLogEnd(admins.standby, { topic: `primary.${topic}`, partition })) ?? 0n,
    truncateByRetention: (at: At, to: bigint) => truncateByRetention(admins.primary, at, to),
    gapless: (args: readonly string[]) => runGapless(args, env),
    /** The incidents of this run's flow, oldest first. */
    async incidents(): Promise<readonly IncidentReport[]> {
      const { stdout, stderr, code } = await runGapless(['incidents', '--json'], env)
      if (code !== 0) throw new StackError('"gapless incidents" failed:', stderr.trim())
      return (JSON.parse(stdout) as { incidents: IncidentReport[] }).incidents
    },
    logged: (): Promise<string[]> => readLoggedTexts(logFile),
    async close(): Promise<void> {
      await Promise.all(
        [admins.primary, admins.standby, producer].map(client => client.disconnect()),
      )
    },
  }
}

function writeConfig(
  settings: StackSettings,
  { flow, prefix }: { readonly flow: string; readonly prefix: string },
): string {
  const topics = `/^${prefix.replaceAll('.', '\\.')}.*/`
  const config = {
    clusters: {
      primary: { brokers: [describeAddress('primary', settings)] },
      standby: { brokers: [describeAddress('standby', settings)] },
    },
    flows: [{ name: flow, from: 'primary', to: 'standby', topics: [topics] }],
  }
  const file = lastConfigFile(settings)
  mkdirSync(challengeDirectory(settings), { recursive: true })
  // JSON is YAML.
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`)
  return file
}

function connect(settings: StackSettings, name: 'primary' | 'standby'): Kafka {
  return createKafkaJs(
    { brokers: [describeAddress(name, settings)], tls: false },
    'gapless-challenge',
  )
}

async function hasPartitions(admin: Admin, topic: string, partitions: number): Promise<boolean> {
  const last = await readLogEnd(admin, { topic, partition: partitions - 1 }).catch(() => null)
  return last !== null
}

async function produce(producer: Producer, at: At, count: number): Promise<KafkaMessage[]> {
  const { topic, partition } = at
  const events = createEventSource(eventBytes, Date.now).take(count)
  const [sent] = await producer.send({
    topic,
    acks: -1,
    messages: events.map(event => ({ ...event, partition })),
  })
  // kafkajs sends nothing and reports no error where it does not know the partition.
  if (sent?.baseOffset === undefined) throw new Error(`nothing was sent to ${topic}-${partition}`)
  const baseOffset = BigInt(sent.baseOffset)
  return events.map(({ key, value, timestamp }, index) => ({
    key: Buffer.from(key),
    value: Buffer.from(value),
    timestamp,
    attributes: 0,
    offset: String(baseOffset + BigInt(index)),
    headers: {},
  }))
}

/**
 * Lets the broker's retention delete the topic's records, and then restores the old retention.
 * @throws StackError when the log does not start at `to` two minutes later.
 */
async function truncateByRetention(admin: Admin, at: At, to: bigint): Promise<void> {
  const { topic, partition } = at
  await setRetention(admin, topic, '1000')
  await until(`retention has truncated ${topic}-${partition} to ${to}`, async () => {
    const found = (await admin.fetchTopicOffsets(topic)).find(each => each.partition === partition)
    return found !== undefined && BigInt(found.low) === to
  })
  await setRetention(admin, topic, '604800000')
}

async function setRetention(admin: Admin, topic: string, retentionMs: string): Promise<void> {
  // Type 2 is a topic (org.apache.kafka.common.config.ConfigResource.Type).
  const configEntries = [{ name: 'retention.ms', value: retentionMs }]
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: 2, name: topic, configEntries }],
  })
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + stateDeadlineMs
  while (!(await holds())) {
    if (performance.now() > deadlineMs) {
      const seconds = stateDeadlineMs / 1_000
      throw new StackError(
        `Waited ${seconds} s, but not: ${what}.`,
        'See "localstack/run_challenge.sh logs".',
      )
    }
    await delay(pollMs)
  }
}
