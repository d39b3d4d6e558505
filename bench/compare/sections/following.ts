// Owns the start of a contender that follows: until its copy has all of its partitions, and until
// the copy has caught up. One that never gets there is an error with the end of what it logged.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '../../../lib/io/cluster/cluster.ts'
import { machineMs, waitMs } from '../../part.ts'
import { countOffsets, findLed, openPlain } from '../../parts/one-broker.ts'
import { type Contender, copyOf, type Job, type RunningContender } from '../contenders/contender.ts'

/** MirrorMaker 2 takes 10 s on an idle machine, and more with a thousand partitions. */
const COPY_MS_MAX = 120_000
/** After the last record was written. */
const CATCH_UP_MS_MAX = 60_000
const LOOK_MS = 100
const LOG_CHARACTERS_MAX = 3_000

/** Resolves once the copy has as many partitions as its source; kills the contender otherwise. */
export async function startFollowing(contender: Contender, job: Job): Promise<RunningContender> {
  const running = await contender.start(job)
  try {
    await withBrokers(job.targetBrokers, target => {
      const isThere = async () => {
        return (await findLed(target, copyOf(job)))?.partitions.length === job.partitions
      }
      const what = `topic ${copyOf(job)} has not ${job.partitions} partitions`
      const watched = waitUntil(isThere, COPY_MS_MAX, () => stuckError(contender, job, what))
      return Promise.race([watched, running.failed])
    })
    return running
  } catch (error) {
    await running.kill()
    throw error
  }
}

/** Resolves once the copy ends where the source ends; nothing may be written any more. */
export async function untilCaughtUp(contender: Contender, job: Job): Promise<void> {
  await withBrokers(job.sourceBrokers, source =>
    withBrokers(job.targetBrokers, async target => {
      const records = await logEndOf(source, job.topic)
      const isThere = async () => (await logEndOf(target, copyOf(job))) === records
      const what = `topic ${copyOf(job)} has not the ${records} records of its source`
      await waitUntil(isThere, CATCH_UP_MS_MAX, () => stuckError(contender, job, what))
    }),
  )
}

/** Looks again and again; `failure`: what is thrown after `msMax`. */
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

/** Names the contender's log and holds the end of it: the folder is gone after the measurement. */
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

/** The sum over all partitions; 0 while the topic is not there. */
async function logEndOf(cluster: Cluster, topic: string): Promise<number> {
  const led = await findLed(cluster, topic)
  return led === null ? 0 : countOffsets(cluster, led)
}
