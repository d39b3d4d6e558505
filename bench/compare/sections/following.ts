// Owns the start of a contender that follows: until its copy has all partitions, and until the copy
// has caught up. A contender that gets stuck is an error with the end of its log.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '../../../lib/io/cluster/cluster.ts'
import { machineMs, waitMs } from '../../part.ts'
import { countOffsets, findLed, openPlain } from '../../parts/one-broker.ts'
import { type Contender, copyOf, type Job, type RunningContender } from '../contenders/contender.ts'

/** MirrorMaker 2 takes 10 s on an idle machine, and more with a thousand partitions. */
const COPY_MS_MAX = 120_000
/** Counted from the last written record. */
const CATCH_UP_MS_MAX = 60_000
const LOOK_MS = 100
const LOG_CHARACTERS_MAX = 3_000

/**
 * Resolves once the copy has as many partitions as its source; kills a contender that gets stuck.
 */
export async function startFollowing(contender: Contender, job: Job): Promise<RunningContender> {
  const running = await contender.start(job)
  try {
    await withBrokers(job.targetBrokers, target => {
      const isThere = async () => {
        return (await findLed(target, copyOf(job)))?.partitions.length === job.partitions
      }
      const what = `topic ${copyOf(job)} does not have its ${job.partitions} partitions`
      const watched = waitUntil(isThere, COPY_MS_MAX, () => stuckError(contender, job, what))
      return Promise.race([watched, running.failed])
    })
    return running
  } catch (error) {
    await running.kill()
    throw error
  }
}

/** Resolves once the copy has as many records as the source, which must not grow any more. */
export async function untilCaughtUp(contender: Contender, job: Job): Promise<void> {
  await withBrokers(job.sourceBrokers, source =>
    withBrokers(job.targetBrokers, async target => {
      const records = await logEndOf(source, job.topic)
      const isThere = async () => (await logEndOf(target, copyOf(job))) === records
      const what = `topic ${copyOf(job)} does not have the ${records} records of its source`
      await waitUntil(isThere, CATCH_UP_MS_MAX, () => stuckError(contender, job, what))
    }),
  )
}

/** Polls `holds`; throws the error of `failure` after `msMax`. */
export async function waitUntil(
  holds: () => Promise<boolean>,
  msMax: number,
  failure: () => Promise<Error>,
): Promise<void> {
  const untilMs = machineMs() + msMax
  while (!(await holds())) {
    if (machineMs() > untilMs) throw await failure()
    await waitMs(LOOK_MS)
  }
}

/**
 * The error quotes the end of the contender's logs: the folder is removed after the measurement.
 */
export async function stuckError(
  { name }: { readonly name: string },
  job: Job,
  what: string,
): Promise<Error> {
  const files = (await readdir(job.dir)).filter(each => each.endsWith('.log'))
  const logs = await Promise.all(
    files.map(async file => {
      const path = join(job.dir, file)
      return `${path} ends with:\n${(await readFile(path, 'utf8')).slice(-LOG_CHARACTERS_MAX)}`
    }),
  )
  return new Error(`${name} got stuck: ${what}. ${logs.join('\n') || `No log in ${job.dir}.`}`)
}

async function withBrokers<T>(brokers: string, work: (cluster: Cluster) => Promise<T>): Promise<T> {
  const cluster = openPlain(brokers)
  try {
    return await work(cluster)
  } finally {
    await cluster.close()
  }
}

/** The sum of the log end offsets; 0 while the topic does not exist. */
async function logEndOf(cluster: Cluster, topic: string): Promise<number> {
  const led = await findLed(cluster, topic)
  return led === null ? 0 : countOffsets(cluster, led)
}
