// What the start of a broker need not do again, made once on a machine by a broker that is started
// for it: the classes of Kafka as the JVM has loaded and verified them (Class Data Sharing, JEP
// 350), and the metadata that Kafka's storage tool writes into a new folder. With both, a broker
// starts with less than half of the processor time.
//
// Owns the folder of both in the download cache, and what the first broker does so that the archive
// has the classes of a broker at work. Does not own how a broker is started and stopped.

import { existsSync } from 'node:fs'
import { copyFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { fetchArtifact } from '../artifacts.ts'
import { runCommand } from '../processes/os-process.ts'
import type { Report } from '../processes/stack-error.ts'
import { until } from '../processes/until.ts'
import { bootstrapMetadata } from './storage.ts'

export type WarmStart = {
  /** Arguments of the JVM. None where the JVM wrote no archive. */
  readonly jvmArgs: readonly string[]
  /** A file that the storage tool wrote, the same for every folder of this version of Kafka. */
  readonly metadataFile: string
}

/** A broker with a folder of its own, which works and ends in order. */
export type Rehearsal = (input: {
  readonly dir: string
  readonly jvmArgs: readonly string[]
  readonly work: (brokers: string) => Promise<void>
}) => Promise<void>

const archiveName = 'kafka.jsa'
const topic = 'rehearsal'

/**
 * Takes about 15 s the first time on a machine, also for a JVM or a Kafka that is new there.
 * @throws StackError when that broker does not start.
 */
export async function fetchWarmStart(input: {
  readonly java: string
  readonly jars: string
  readonly report: Report
  readonly rehearse: Rehearsal
}): Promise<WarmStart> {
  const { java, jars, report, rehearse } = input
  const artifact = {
    name: 'kafka-warm-start',
    announcement: 'Rehearsing the start of Kafka (once, about 15 s)...',
    // The JVM refuses an archive of another JVM or of other jars.
    identity: () => identify(java, jars),
    build: async ({ directory }: { readonly directory: string }) => {
      const dir = join(directory, 'broker')
      const jvmArgs = [`-XX:ArchiveClassesAtExit=${join(directory, archiveName)}`]
      await rehearse({ dir, jvmArgs, work: useBroker })
      await copyFile(bootstrapMetadata(dir), join(directory, basename(bootstrapMetadata(dir))))
      await rm(dir, { recursive: true, force: true })
    },
  }
  const directory = await fetchArtifact(artifact, report)
  const archive = join(directory, archiveName)
  return {
    jvmArgs: existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`] : [],
    metadataFile: join(directory, basename(bootstrapMetadata(directory))),
  }
}

async function identify(java: string, jars: string): Promise<string> {
  const { output } = await runCommand({ command: java, args: ['-version'] })
  // The JVM also names the options that it finds in the environment, which change no class.
  const version = output.split('\n').filter(line => !line.includes('Picked up'))
  return [...version, jars].join('\n')
}

/** What clients ask most: a topic, a transaction, and a consumer of a group. */
async function useBroker(brokers: string): Promise<void> {
  const { NOTHING } = kafkajs.logLevel
  const kafka = new kafkajs.Kafka({ clientId: topic, brokers: [brokers], logLevel: NOTHING })
  const admin = kafka.admin()
  const producer = kafka.producer({ transactionalId: topic, idempotent: true })
  const consumer = kafka.consumer({ groupId: topic, maxWaitTimeInMs: 100 })
  try {
    await Promise.all([admin.connect(), producer.connect(), consumer.connect()])
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic }] })
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ key: 'key', value: 'value' }] })
    await transaction.commit()
    await consumer.subscribe({ topic, fromBeginning: true })
    let read = 0
    await consumer.run({
      eachMessage: async () => {
        read += 1
      },
    })
    await until('the record is read', async () => read > 0)
  } finally {
    await Promise.all([admin.disconnect(), producer.disconnect(), consumer.disconnect()])
  }
}
