// Two real clusters, a real table and flows between them, for one test file. Runs the loops of the
// functions and of the command line in this process, and reads the standby with kafkajs, which did
// not write it.

import { randomUUID } from 'node:crypto'
import { PutItemCommand } from '@aws-sdk/client-dynamodb'
import type { Admin, Message } from 'kafkajs'
import type { FlowAuditReport } from '../../../lib/core/audit/report.ts'
import type { FlowConfig } from '../../../lib/core/config/config.ts'
import type { Incident } from '../../../lib/core/incident.ts'
import type { LogLine } from '../../../lib/core/monitoring/incident-lines.ts'
import type { Row } from '../../../lib/core/row/row.ts'
import type { AnchorLimits } from '../../../lib/core/translate/moved-anchors.ts'
import { createGroupAdmin } from '../../../lib/io/admin/group-admin.ts'
import { createTopicAdmin } from '../../../lib/io/admin/topic-admin.ts'
import { type AnchorStore, createAnchorStore } from '../../../lib/io/anchors/anchor-store.ts'
import { systemClock } from '../../../lib/io/clock.ts'
import { openCluster } from '../../../lib/io/cluster/cluster.ts'
import { createFailoverStore } from '../../../lib/io/failover/failover-store.ts'
import { createGroupStore } from '../../../lib/io/sync/group-store.ts'
import { createCheckpointStore } from '../../../lib/io/table/checkpoint-store.ts'
import { createDynamoDbClient } from '../../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../../lib/io/table/incident-store.ts'
import { createTable } from '../../../lib/io/table/table.ts'
import { createWorkerStore } from '../../../lib/io/table/worker-store.ts'
import { auditFlow } from '../../../lib/run/audit/audit-flow.ts'
import { unbounded } from '../../../lib/run/audit/pace.ts'
import {
  type FailbackDeps,
  type FailbackRequest,
  type FailbackResult,
  failBack,
} from '../../../lib/run/failback/failback.ts'
import { type FailoverResult, failOver } from '../../../lib/run/failover/failover.ts'
import type { FailoverDeps, FailoverRequest } from '../../../lib/run/failover/plan-failover.ts'
import { type ResumeFrom, resumePartition } from '../../../lib/run/operate/resume.ts'
import {
  type FlowRunReport,
  type RunOnceDeps,
  runFlowOnce,
} from '../../../lib/run/operate/run-once.ts'
import { type FlowStatus, readFlowStatus } from '../../../lib/run/operate/status.ts'
import { replicateAndReport } from '../../../lib/run/replicate/replicate.ts'
import type { GroupReport } from '../../../lib/run/sync/looked-group.ts'
import { type FlowSync, syncFlow } from '../../../lib/run/sync/sync-flow.ts'
import {
  type FlowTranslation,
  openTranslation,
} from '../../../lib/run/translate/flow-translation.ts'
import { type FlowHealth, watchFlow } from '../../../lib/run/watch/watch.ts'
import {
  type Endpoints,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../../../localstack/scratch/brokers.ts'
import {
  connectTo,
  createTopic,
  deleteRecords,
  deleteTopic,
  produceBatches,
  readLogEnds,
  setTopicConfigs,
  type TopicOptions,
  withAdmin,
} from '../../../localstack/scratch/topics.ts'
import { armFaults, type Fault } from '../kafka/faults.ts'
import { type ReadOptions, readPartition } from '../kafka/kafkajs-reader.ts'
import { type Contents, contentsOf, inChunks } from '../kafka/records.ts'
import { parseFlow } from './parsed-flow.ts'

/** Flows between clusters that other test files may use too, so that no test stops a broker. */
export type SharedFlowFixture = Awaited<ReturnType<typeof openFlowFixture>>

/** Flows between clusters and a table that belong to one test file. */
export type FlowFixture = Awaited<ReturnType<typeof startFlowFixture>>

export type TopicOptionsOf = TopicOptions

export type FlowOverrides = Record<string, unknown>

export type FlowFixtureOptions = {
  /** Brokers of the source; default 1. */
  readonly sourceSize?: number
  /** Brokers of the target; default 1. */
  readonly targetSize?: number
  /** More lines for server.properties of the source's brokers. */
  readonly properties?: Record<string, string>
  readonly targetProperties?: Record<string, string>
  /** True: the table survives when its endpoint is killed. Default false. */
  readonly durableTable?: boolean
}

export type RunOptions = {
  readonly faults?: readonly Fault[]
  /** Closer together than a run of some hundred records would need. */
  readonly anchorLimits?: AnchorLimits
}

let runs = 0
let ticks = 0

/** About one batch per fetch, so that a run over some hundred records needs many fetches. */
export const smallBudgets = {
  fetchBytesMax: 1024,
  partitionFetchBytesMax: 1024,
  bufferBytesMax: 4096,
}

/** Leases that expire soon after a crash. */
export const shortLeases = { leaseMs: 5_000, checkpointIntervalMs: 1_000, requestTimeoutMs: 4_000 }

/**
 * Starts both clusters and the table in about 10 s. Call `removeStarted` of brokers.ts at the end.
 */
export async function startFlowFixture(options: FlowFixtureOptions = {}) {
  const { sourceSize = 1, targetSize = 1 } = options
  const { properties = {}, targetProperties = {}, durableTable = false } = options
  const [source, target, aws] = await Promise.all([
    startCluster('source', { size: sourceSize, properties }),
    startCluster('target', { size: targetSize, properties: targetProperties }),
    startStandInAws({ durable: durableTable }),
  ])
  return {
    ...(await openFlowFixture({ source, target, aws, table: 'gapless' })),
    source,
    target,
    aws,
  }
}

export type FlowWorld = {
  readonly source: Pick<TestCluster, 'brokers'>
  readonly target: Pick<TestCluster, 'brokers'>
  readonly aws: Endpoints
  /** The name of a table that does not exist yet. */
  readonly table: string
}

/** Flows between two clusters that run, with a table of their own. */
export async function openFlowFixture<W extends FlowWorld>({ source, target, aws, table }: W) {
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  const checkpoints = createCheckpointStore(client, table)
  const workers = createWorkerStore(client, table)
  const incidents = createIncidentStore(client, table)
  const failovers = createFailoverStore(client, table)
  const anchors = createAnchorStore(client, table)
  const primary = connectTo(source)
  const standby = connectTo(target)
  const document = (flow: FlowOverrides) => ({
    clusters: { primary: { brokers: source.brokers }, standby: { brokers: target.brokers } },
    flows: [{ from: 'primary', to: 'standby', ...flow }],
  })
  const open = (flow: FlowConfig, log: RunOnceDeps['log'], faults: readonly Fault[] = []) =>
    openDeps({ flow, source, target, checkpoints, workers, incidents, anchors, log, faults })

  return {
    source,
    target,
    aws,
    table,
    checkpoints,
    workers,
    incidents,
    failovers,
    anchors,
    primaryKafka: primary,
    standbyKafka: standby,
    onPrimary: <T>(work: (admin: Admin) => Promise<T>) => withAdmin(primary, work),
    onStandby: <T>(work: (admin: Admin) => Promise<T>) => withAdmin(standby, work),
    /** A new flow for each test. Its name is part of every key, so that tests share no row. */
    flow: (topics: readonly string[], overrides: FlowOverrides = {}) => {
      runs += 1
      return parseFlow(document({ name: `flow-${runs}`, topics, ...overrides }))
    },
    /** A configuration with this flow, for a process to read. */
    document,
    createTopic: (name: string, topic: TopicOptions = {}) => createTopic(primary, name, topic),
    createStandbyTopic: (name: string, topic: TopicOptions = {}) =>
      createTopic(standby, name, topic),
    /** Deletes a topic of the primary and waits until no broker knows it. */
    deleteTopic: (name: string) => deleteTopic(primary, name),
    deleteStandbyTopic: (name: string) => deleteTopic(standby, name),
    /** Deletes records of the primary before `offset`. */
    deleteRecords: (topic: string, offset: number, partition = 0) =>
      deleteRecords(primary, { topic, partition, offset }),
    setTopicConfigs: (
      cluster: 'primary' | 'standby',
      topic: string,
      configs: Record<string, string>,
    ) => setTopicConfigs(cluster === 'primary' ? primary : standby, topic, configs),
    /** `[log start offset, high watermark]` on the primary. */
    logEnds: (topic: string, partition = 0) => readLogEnds(primary, topic, partition),
    /** The same of a topic of the standby. */
    standbyEnds: (topic: string, partition = 0) => readLogEnds(standby, topic, partition),
    /** One record batch with these records. */
    produce: (topic: string, messages: readonly Message[], partition = 0) =>
      produceBatches(primary, { topic, partition }, messages.length === 0 ? [] : [messages]),
    /** Several record batches of `size` records each. */
    produceInBatches: (
      topic: string,
      messages: readonly Message[],
      { size = 10, partition = 0 } = {},
    ) => produceBatches(primary, { topic, partition }, inChunks(messages, size)),
    /** Writes to the standby as another application. */
    produceToStandby: (topic: string, messages: readonly Message[], partition = 0) =>
      produceBatches(standby, { topic, partition }, [messages]),
    readAll: (cluster: 'primary' | 'standby', topic: string, partition = 0, read?: ReadOptions) =>
      readPartition(cluster === 'primary' ? primary : standby, { topic, partition }, read),
    /** Keys, values, headers and timestamps of the standby's `primary.<topic>`. */
    readStandby: async (topic: string, partition = 0): Promise<Contents[]> =>
      contentsOf(await readPartition(standby, { topic: `primary.${topic}`, partition })),
    readPrimary: async (topic: string, partition = 0): Promise<Contents[]> =>
      contentsOf(await readPartition(primary, { topic, partition })),
    async run(flow: FlowConfig, options: RunOptions = {}): Promise<RunResult> {
      const { faults = [], anchorLimits } = options
      const lines: LogLine[] = []
      const opened = open(flow, line => lines.push(line), faults)
      const deps = anchorLimits === undefined ? opened.deps : { ...opened.deps, anchorLimits }
      try {
        const report = await runFlowOnce(deps, flow, new AbortController().signal)
        opened.assertAllPerformed()
        return { report, lines, incidents: (await incidents.list(flow.name, 'all')).incidents }
      } finally {
        await opened.close()
      }
    },
    /** Makes a row of the table one that cannot be read. */
    async spoilRow(key: Row): Promise<void> {
      const unreadable = { ...key, state: { S: 'asleep' }, owner: { S: 'nobody' } }
      await client.send(new PutItemCommand({ TableName: table, Item: unreadable }))
    },
    async status(flow: FlowConfig): Promise<FlowStatus> {
      const opened = open(flow, () => undefined)
      try {
        const { deps, sourceConfigs } = opened
        return await readFlowStatus({ ...deps, sourceConfigs }, flow)
      } finally {
        await opened.close()
      }
    },
    async watch(flow: FlowConfig): Promise<FlowHealth> {
      const { deps, sourceConfigs, close } = open(flow, () => undefined)
      try {
        return await watchFlow({ ...deps, sourceConfigs }, flow)
      } finally {
        await close()
      }
    },
    /**
     * One tick of `sync`, a minute after the one before by its own clock, or now where `isNow`;
     * with `mayCommit` false it only looks.
     */
    async sync(
      flow: FlowConfig,
      { mayCommit = true, isNow = false }: { mayCommit?: boolean; isNow?: boolean } = {},
    ): Promise<SyncResult> {
      ticks += 1
      const aheadMs = isNow ? 0 : ticks * 60_000
      const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }
      const reports: GroupReport[] = []
      const { deps, targetCluster, sourceConfigs, close } = open(flow, () => undefined)
      try {
        const sync = await syncFlow(
          {
            ...{ ...deps, clock },
            sourceGroups: createGroupAdmin(sourceConfigs),
            targetGroups: createGroupAdmin(targetCluster),
            groupRows: createGroupStore(client, table),
            anchors,
            failovers,
          },
          flow,
          { mayCommit, tell: each => reports.push(...each) },
        )
        const byPartition = (each: GroupReport) => `${each.group} ${each.topic} ${each.partition}`
        reports.sort((left, right) => (byPartition(left) < byPartition(right) ? -1 : 1))
        return { ...sync, reports }
      } finally {
        await close()
      }
    },
    /** `gapless audit` of a flow. */
    async audit(
      flow: FlowConfig,
      request: Partial<Parameters<typeof auditFlow>[2]> = {},
    ): Promise<FlowAuditReport> {
      const { deps, sourceConfigs, close } = open(flow, () => undefined)
      const follows = () => ({ from: null, stood: () => undefined, compared: () => undefined })
      try {
        return await auditFlow({ ...deps, anchors, sourceConfigs }, flow, {
          ...{ range: { kind: 'full' }, isDeep: false, topic: null, pace: unbounded },
          ...{ interrupted: new AbortController().signal, planned: () => undefined, follows },
          ...request,
        })
      } finally {
        await close()
      }
    },
    /** Answers of one look at the table and at both logs. */
    async translate<T>(
      flow: FlowConfig,
      ask: (translation: FlowTranslation) => Promise<T>,
    ): Promise<T> {
      const { deps, close } = open(flow, () => undefined)
      try {
        return await ask(await openTranslation({ ...deps, anchors }, flow))
      } finally {
        await close()
      }
    },
    /** `gapless failover`, answered by `confirm` where it asks. */
    async failOver(
      flow: FlowConfig,
      request: FailoverRequest,
      more: Partial<FailoverDeps> = {},
    ): Promise<FailoverResult & { readonly lines: readonly LogLine[] }> {
      const lines: LogLine[] = []
      const opened = open(flow, line => lines.push(line))
      try {
        const by = opened.deps.owner
        const confirm = async () => true
        const deps = { ...opened.deps, failovers, by, newId: randomUUID, confirm, ...more }
        return { ...(await failOver(deps, flow, request)), lines }
      } finally {
        await opened.close()
      }
    },
    /** `gapless failback`, answered with yes where it asks. */
    async failBack(
      flow: FlowConfig,
      request: FailbackRequest = { divergent: 'refuse' },
      more: (deps: FailbackDeps) => Partial<FailbackDeps> = () => ({}),
    ): Promise<FailbackResult> {
      const there = open(flow, () => undefined)
      const back = openDeps({
        ...{ flow, source: target, target: source, isBack: true },
        ...{ checkpoints, workers, incidents, anchors, log: () => undefined, faults: [] },
      })
      try {
        const by = there.deps.owner
        const common = { failovers, newId: randomUUID, by, confirm: async () => true }
        const deps: FailbackDeps = {
          ...{ ...there.deps, ...common, anchors, confirmBack: async () => true },
          openReverse: () => ({ ...back.deps, ...common }),
        }
        return await failBack({ ...deps, ...more(deps) }, flow, request)
      } finally {
        await Promise.all([there.close(), back.close()])
      }
    },
    /** A worker of continuous mode over partitions of a topic, until `end`; then its outcomes. */
    follow(flow: FlowConfig, topic: string, partitions = 1): { end: () => Promise<string[]> } {
      const opened = open(flow, () => undefined)
      const interrupted = new AbortController()
      const { owner } = opened.deps
      const running = replicateAndReport(opened.deps, {
        flow,
        partitions: Array.from({ length: partitions }, (_, partition) => {
          return { topic, partition, topicIsKnown: true }
        }),
        claim: { role: 'worker', run: owner, invocation: null, isReserved: false },
        deadlineMs: systemClock.nowMs() + 600_000,
        isContinuous: true,
        interrupted: interrupted.signal,
      }).finally(opened.close)
      return {
        end: async () => {
          interrupted.abort()
          return (await running).partitions.map(each => each.outcome)
        },
      }
    },
    async resume(flow: FlowConfig, topic: string, partition: number, from: ResumeFrom = null) {
      const opened = open(flow, () => undefined)
      try {
        return await resumePartition(opened.deps, { flow, at: { topic, partition }, from })
      } finally {
        await opened.close()
      }
    },
    async disconnect() {
      client.destroy()
    },
  }
}

/** A tick, and its reports in the order of their groups and partitions. */
export type SyncResult = FlowSync & { readonly reports: readonly GroupReport[] }

export type RunResult = {
  readonly report: FlowRunReport
  readonly lines: readonly LogLine[]
  readonly incidents: readonly Incident[]
}

/** The texts of a run's log lines, for matching. */
export function textsOf({ lines }: RunResult): string[] {
  return lines.map(each => each.text)
}

/** How the run of each partition ended, in the order of topics and partitions. */
export function outcomesOf({ report }: RunResult): string[] {
  return report.partitions.map(each => each.outcome)
}

function openDeps(input: {
  readonly flow: FlowConfig
  readonly source: FlowWorld['source']
  readonly target: FlowWorld['target']
  readonly checkpoints: RunOnceDeps['checkpoints']
  readonly workers: RunOnceDeps['workers']
  readonly incidents: RunOnceDeps['incidents']
  readonly anchors: AnchorStore
  readonly log: RunOnceDeps['log']
  readonly faults: readonly Fault[]
  /** The clusters keep their names when they swap their roles. */
  readonly isBack?: true
}) {
  const { checkpoints, workers, incidents, log } = input
  const faults = armFaults(input.faults)
  const open = (name: string, cluster: FlowWorld['source']) =>
    openCluster({
      name,
      config: { brokers: cluster.brokers.split(','), tls: false },
      requestTimeoutMs: input.flow.budgets.requestTimeoutMs,
    })
  const [from, to] = input.isBack ? ['standby', 'primary'] : ['primary', 'standby']
  const source = open(from ?? '', input.source)
  const target = open(to ?? '', input.target)
  runs += 1
  const deps: RunOnceDeps = {
    source: faults.decorate('source', source),
    target: faults.decorate('target', target),
    checkpoints,
    workers,
    incidents,
    anchors: input.anchors,
    clock: systemClock,
    log,
    owner: `test-${process.pid}-${runs}`,
    openTargetAdmin: () => createTopicAdmin(target),
  }
  return {
    deps,
    sourceConfigs: source,
    targetCluster: target,
    assertAllPerformed: faults.assertAllPerformed,
    close: async () => {
      await Promise.all([source.close(), target.close()])
    },
  }
}
