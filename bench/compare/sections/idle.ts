// Owns the idle section: the cost of following partitions without records. A proxy in front of each
// broker counts the requests of every contender alike, so the section has its own clusters.
// MirrorMaker 2 has no table: it stores its state in topics, and these requests are counted.

import { findFreePort } from '../../../localstack/processes/ports.ts'
import { startCluster } from '../../../localstack/scratch/brokers.ts'
import { connectTo, createTopic, deleteTopic } from '../../../localstack/scratch/topics.ts'
import { machineMs, waitMs } from '../../part.ts'
import { memoryMb, processorMs } from '../../process-usage.ts'
import { type Contender, copyOf, type Job, type RunningContender } from '../contenders/contender.ts'
import { type CountingProxy, startBrokerProxy, startTableProxy } from '../records/counting-proxy.ts'
import type { IdleRun } from '../results/results.ts'
import { startFollowing, stuckError } from './following.ts'
import { rivalsOf, type Scene } from './scene.ts'

export type IdlePlan = {
  readonly partitions: readonly number[]
  /** The measured part of each run. */
  readonly seconds: number
}

/**
 * One worker of gapless takes all partitions, though a tick gives a worker at most 200
 * (shardPartitionsMax). 30 s hold whole numbers of its renewals: one every 10 s, or every 15 s
 * where they are late.
 */
export const idlePlan: IdlePlan = { partitions: [1, 100, 1_000], seconds: 30 }

const SETTLE_LOOK_MS = 3_000
/** Requests have settled when this many looks in a row differ by at most this share. */
const SETTLED_LOOKS = 3
const SETTLED_SHARE = 0.1
/** Or by at most this many requests: one request of two dozen is almost the share already. */
const SETTLED_REQUESTS = 4
const SETTLE_LOOKS_MAX = 30

/** `idlePlan` takes 7.5 minutes when nothing else runs. */
export async function measureIdle(
  scene: Scene,
  plan: IdlePlan,
  say: (text: string) => void,
): Promise<IdleRun[]> {
  const [source, target, table] = await Promise.all([
    startCounted('bench-idle-source'),
    startCounted('bench-idle-standby'),
    startTableProxy(scene.aws.endpoint),
  ])
  const endpoint = `http://127.0.0.1:${table.port}`
  const aws = { ...scene.aws, endpoint, env: { ...scene.aws.env, AWS_ENDPOINT_URL: endpoint } }
  const runs: IdleRun[] = []
  try {
    for (const partitions of plan.partitions) {
      const topic = `idle-${partitions}`
      await createTopic(connectTo(source.cluster), topic, { partitions })
      for (const contender of rivalsOf({ ...scene, aws })) {
        const job: Job = {
          ...(await scene.jobFor({ topic, partitions }, { follows: true })),
          sourceBrokers: source.brokers,
          targetBrokers: target.brokers,
        }
        const counted = { source: source.proxy, target: target.proxy, table }
        const figures = await measureRun(contender, { job, counted, seconds: plan.seconds })
        await deleteTopic(connectTo(target.cluster), copyOf(job))
        runs.push({ contender: contender.name, partitions, ...figures })
        say(`${partitions} partitions, ${contender.name}: ${JSON.stringify(figures)}`)
      }
      await deleteTopic(connectTo(source.cluster), topic)
    }
  } finally {
    for (const proxy of [source.proxy, target.proxy, table]) proxy.close()
    await Promise.all([source.cluster.kill(), target.cluster.kill()])
  }
  return runs
}

/** A cluster with a listener behind a proxy; `brokers` is the proxy's address. */
async function startCounted(name: string) {
  const port = await findFreePort()
  const proxy = await startBrokerProxy(port)
  const protocol = 'PLAINTEXT' as const
  const listener = { name: 'COUNTED', port, advertisedPort: proxy.port, protocol }
  const cluster = await startCluster(name, { listeners: [listener] })
  return { cluster, proxy, brokers: `127.0.0.1:${proxy.port}` }
}

type Counted = Readonly<Record<'source' | 'target' | 'table', CountingProxy>>
type Figures = Omit<IdleRun, 'contender' | 'partitions'>

async function measureRun(
  contender: Contender,
  run: { readonly job: Job; readonly counted: Counted; readonly seconds: number },
): Promise<Figures> {
  const running = await startFollowing(contender, run.job)
  try {
    const measured = untilSettled(contender, run).then(() => countFor(running, run))
    return await Promise.race([measured, running.failed])
  } finally {
    await running.kill()
  }
}

/** Resolves once the number of requests is steady: the start is over. */
async function untilSettled(
  contender: Contender,
  { job, counted }: { readonly job: Job; readonly counted: Counted },
): Promise<void> {
  const total = () => counted.source.count() + counted.target.count()
  const looks: number[] = []
  for (let before = total(); looks.length < SETTLE_LOOKS_MAX; ) {
    await waitMs(SETTLE_LOOK_MS)
    const now = total()
    looks.push(now - before)
    before = now
    const last = looks.slice(-SETTLED_LOOKS)
    const [least, most] = [Math.min(...last), Math.max(...last)]
    const tolerated = Math.max(SETTLED_REQUESTS, most * SETTLED_SHARE)
    if (last.length === SETTLED_LOOKS && least > 0 && most - least <= tolerated) return
  }
  const what = `its requests per ${SETTLE_LOOK_MS / 1_000} s do not settle: ${looks.join(', ')}`
  throw await stuckError(contender, job, what)
}

async function countFor(
  { pid }: RunningContender,
  { counted, seconds }: { readonly counted: Counted; readonly seconds: number },
): Promise<Figures> {
  const look = () => {
    const { source, target, table } = counted
    return {
      atMs: machineMs(),
      source: source.count(),
      target: target.count(),
      table: table.count(),
      processor: processorMs(pid) ?? Number.NaN,
    }
  }
  const before = look()
  await waitMs(seconds * 1_000)
  const after = look()
  const minutes = (after.atMs - before.atMs) / 60_000
  const perMinute = (name: keyof typeof before) => (after[name] - before[name]) / minutes
  return {
    sourceRequests: Math.round(perMinute('source')),
    targetRequests: Math.round(perMinute('target')),
    tableWrites: Math.round(perMinute('table')),
    processorSeconds: Number((perMinute('processor') / 1_000).toFixed(2)),
    memoryMb: Math.round(memoryMb(pid) ?? Number.NaN),
  }
}
