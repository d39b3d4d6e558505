// Owns the schema of the configuration: the keys of gapless.yml, their meanings, accepted values
// and defaults. docs/CONFIG.md and the schema for editors are made from it. Does not own the file,
// the environment, or line numbers (io/config/config-file.ts).

import { distance as levenshtein } from 'fastest-levenshtein'
import { z } from 'zod'
import { about, clusterSchema, object, text } from './cluster-config.ts'
import type { ConfigProblem } from './config-problem.ts'
import { crossChecks, localStage, type ReadableConfig, sameClusters } from './cross-checks.ts'
import type { Policies } from './defaults.ts'
import { type Budgets, budgetDefaults, flowDefaults, policyDefaults } from './defaults.ts'
import { type NamedRules, rivalsOf } from './flow-conflicts.ts'
import { followKeys, oneOf, selectorOf } from './follow-config.ts'
import type { TopicRules } from './topic-selection.ts'

const MINUTE_MS = 60_000
const GIB = 1024 ** 3

/** A whole number. It may arrive as text, from the environment. */
const count = (min: number, max: number) =>
  z.coerce
    .number<unknown>(`a whole number from ${min} to ${max}`)
    .int(`a whole number from ${min} to ${max}`)
    .min(min, `a whole number from ${min} to ${max}`)
    .max(max, `a whole number from ${min} to ${max}`)

const budgets = object(
  {
    leaseMs: about(
      'How long a partition stays reserved for an invocation that crashed.',
      count(5_000, 5 * MINUTE_MS).default(budgetDefaults.leaseMs),
    ),
    workerLeaseMs: about(
      'How long a worker that crashed still counts as live.',
      count(1_500, 20_000).default(budgetDefaults.workerLeaseMs),
    ),
    checkpointIntervalMs: about(
      'How often progress is stored while copying. At most half of `leaseMs`.',
      count(100, MINUTE_MS).default(budgetDefaults.checkpointIntervalMs),
    ),
    requestTimeoutMs: about(
      'How long a broker may take to answer one request. Less than `leaseMs`.',
      count(1_000, 2 * MINUTE_MS).default(budgetDefaults.requestTimeoutMs),
    ),
    reserveMs: about(
      'Time kept back at the end of an invocation.',
      count(100, 2 * MINUTE_MS).default(budgetDefaults.reserveMs),
    ),
    fillSecondsMax: about(
      'With `offsets: preserve`: seconds that the holes of a partition may take to fill, by the pace so far. Beyond, ' +
        'its offsets are translated from there on.',
      count(1, 604_800).default(budgetDefaults.fillSecondsMax),
    ),
    fetchWaitMs: about(
      'How long a broker may hold a Fetch request that finds no records.',
      count(1, 10_000).default(budgetDefaults.fetchWaitMs),
    ),
    fetchBytesMax: about(
      'Bytes in one Fetch response.',
      count(1024, GIB).default(budgetDefaults.fetchBytesMax),
    ),
    partitionFetchBytesMax: about(
      'Bytes of one partition in a Fetch response.',
      count(1024, GIB).default(budgetDefaults.partitionFetchBytesMax),
    ),
    bufferBytesMax: about(
      'Bytes fetched and not yet acknowledged, per worker.',
      count(1024, GIB).default(budgetDefaults.bufferBytesMax),
    ),
    shardPartitionsMax: about(
      'Partitions per worker.',
      count(1, 10_000).default(budgetDefaults.shardPartitionsMax),
    ),
    workersMax: about(
      'Workers that one tick starts, per flow.',
      count(1, 1_000).default(budgetDefaults.workersMax),
    ),
  },
  'named limits, see docs/CONFIG.md',
)

const flow = object(
  {
    name: about(
      'Identifies the flow in checkpoints, incidents and metrics. Do not change it: a flow finds its checkpoints by it.',
      text('letters, digits, . _ -').regex(/^[a-zA-Z0-9._-]{1,100}$/, 'letters, digits, . _ -'),
    ),
    from: about('The source cluster, to read from.', text('the name of a cluster')),
    to: about('The standby cluster, to write to.', text('the name of a cluster')),
    topics: about(
      'The topics to replicate: names, or patterns between slashes. A pattern matches the whole name, and ' +
        "never one of Kafka's internal topics.",
      z
        .array(selectorOf('a topic name'), 'a list of topics')
        .min(1, 'at least one topic or pattern'),
    ),
    exclude: about(
      'Topics that `topics` matches and that are not replicated, in the same form.',
      z.array(selectorOf('a topic name'), 'a list of topics').default([...flowDefaults.exclude]),
    ),
    naming: about(
      '`prefix`: `orders` of cluster `primary` becomes `primary.orders`. `identity`: the name stays `orders`.',
      oneOf('prefix', 'identity').default(flowDefaults.naming),
    ),
    startFrom: about(
      'Where a partition without a checkpoint starts.',
      oneOf('log-start', 'log-end').default(policyDefaults.startFrom),
    ),
    offsets: about(
      '`preserve`: records keep their offsets on the standby, in partitions that begin with an empty log there. ' +
        '`translate`: offsets differ where the source has holes, and are translated exactly.',
      oneOf('preserve', 'translate').default(policyDefaults.offsets),
    ),
    fillers: about(
      'With `offsets: preserve`, how offsets are filled where the source has no record. `transactions`: by empty ' +
        'transactions. `markers`: faster, by a request between brokers (WriteTxnMarkers), which needs `Alter` on the ' +
        'standby cluster and may write into any topic there, see docs/SECURITY.md.',
      oneOf('transactions', 'markers').default(flowDefaults.fillers),
    ),
    onTruncation: about(
      'When the source deleted records before they were replicated.',
      oneOf('halt', 'continue').default(policyDefaults.onTruncation),
    ),
    onReset: about(
      'When a topic was deleted and recreated on the source. `recreate`: its standby topic is deleted and created ' +
        'anew, with all it holds, so that records have the same offsets again.',
      oneOf('resume', 'halt', 'recreate').default(policyDefaults.onReset),
    ),
    onDivergence: about(
      'When the source lost records that the standby has (unclean leader election).',
      oneOf('halt', 'continue').default(policyDefaults.onDivergence),
    ),
    mode: about(
      '`batch`: an invocation ends when it has caught up. `continuous`: it copies until its deadline and hands over.',
      oneOf('batch', 'continuous').default(flowDefaults.mode),
    ),
    incidentsKeptDays: about(
      'For how many days incidents are kept after they ended; then DynamoDB deletes them by itself.',
      count(1, 3_650).default(flowDefaults.incidentsKeptDays),
    ),
    ...followKeys,
    budgets: about('Limits on time, memory and parallelism.', budgets.prefault({})),
  },
  '{ name, from, to, topics, … }',
)

/** The schema of gapless.yml. */
export const configSchema = object(
  {
    clusters: about(
      'The Kafka clusters, by name.',
      z.record(
        z.string().regex(/^[a-zA-Z0-9._-]{1,100}$/, 'letters, digits, . _ -'),
        clusterSchema,
        'clusters by name',
      ),
    ),
    flows: about(
      'What is replicated, from which cluster to which.',
      z.array(flow, 'a list of flows').min(1, 'at least one flow'),
    ),
  },
  '{ clusters, flows }',
)

export type ClusterConfig = z.output<typeof clusterSchema>
export type FlowConfig = z.output<typeof flow> &
  TopicRules &
  Policies & {
    budgets: Budgets
    /** Other flows that may write into a topic of the same target (run/observe/rivals.ts). */
    rivals?: readonly NamedRules[]
  }
export type Config = Omit<z.output<typeof configSchema>, 'flows'> & {
  readonly flows: readonly FlowConfig[]
}

export type ParsedConfig =
  | { readonly kind: 'valid'; readonly config: Config }
  | { readonly kind: 'invalid'; readonly problems: readonly ConfigProblem[] }

/**
 * Checks a parsed document. Unknown keys are refused: a misspelt policy must not fall back to its
 * default unnoticed. All problems are found at once: a wrong value hides no other check.
 * @param stage the stage of the deployment, whose name forbids what is for drills only
 */
export function parseConfig(document: unknown, stage: string = localStage): ParsedConfig {
  const parsed = configSchema.safeParse(document)
  const problems = [
    ...(parsed.error?.issues ?? []).flatMap(problemsOf),
    ...crossChecks(readableParts(document), stage),
  ]
  return parsed.success && problems.length === 0
    ? { kind: 'valid', config: deepFreeze(withNeighbours(parsed.data)) }
    : { kind: 'invalid', problems }
}

/** Tells each flow the names of all clusters, and the flows that may write into its topics. */
function withNeighbours({ clusters, flows }: z.output<typeof configSchema>): Config {
  const isOneCluster = sameClusters(clusters)
  const names = Object.keys(clusters)
  const known = flows.map(each => {
    return { ...each, clusters: names, heartbeats: each.sync.heartbeats === 'mirror-maker' }
  })
  return {
    clusters,
    flows: known.map(each => ({ ...each, rivals: rivalsOf(each, known, isOneCluster) })),
  }
}

/** The parts of a document that the schema accepts, each one for itself. */
function readableParts(document: unknown): ReadableConfig {
  const { clusters, flows } = isObject(document) ? document : {}
  const budgetsOf = (value: unknown) =>
    isObject(value) ? readable(budgets.shape, value) : value === undefined ? budgetDefaults : {}
  return {
    clusters: Object.fromEntries(
      Object.entries(isObject(clusters) ? clusters : {}).map(([name, value]) => [
        name,
        readable(clusterSchema.shape, value),
      ]),
    ),
    flows: (Array.isArray(flows) ? flows : []).map(value => ({
      ...readable(flow.shape, value),
      budgets: budgetsOf(isObject(value) ? value.budgets : undefined),
    })),
  }
}

/** The values of an object that the schemas of their keys accept. */
function readable<S extends Readonly<Record<string, z.ZodType>>>(
  shape: S,
  value: unknown,
): { [K in keyof S]?: z.output<S[K]> } {
  const given = isObject(value) ? value : {}
  const found = Object.entries(shape).flatMap(([key, schema]) => {
    const parsed = schema.safeParse(given[key])
    return parsed.success && parsed.data !== undefined ? [[key, parsed.data]] : []
  })
  return Object.fromEntries(found)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function problemsOf(issue: z.core.$ZodIssue): ConfigProblem[] {
  const path = issue.path.filter(part => typeof part !== 'symbol')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({ path: [...path, key], accepted: noSuchKey(key, issue) }))
  }
  return [{ path, accepted: issue.message }]
}

/** The text of such an issue is the list of the keys that its object may have. */
function noSuchKey(key: string, { message }: z.core.$ZodIssue): string {
  const known = message.split(' | ')
  const distance = (other: string) => levenshtein(key.toLowerCase(), other.toLowerCase())
  const nearest = known.toSorted((left, right) => distance(left) - distance(right))[0] ?? ''
  // Two swapped letters are a distance of 2, and so are any two words of two letters.
  const away = distance(nearest)
  const isNear =
    away <= Math.max(2, nearest.length / 3) && away < Math.min(key.length, nearest.length)
  return `no such key; ${isNear ? `did you mean "${nearest}"? ` : ''}known keys: see docs/CONFIG.md`
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}
