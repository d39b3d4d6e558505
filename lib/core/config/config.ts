// Owns the schema of the configuration: the keys of gapless.yml, their meanings, accepted values
// and defaults. docs/CONFIG.md and the schema for editors are made from it. Does not own the file,
// the environment, or line numbers (io/config/config-file.ts).

import { z } from 'zod'
import { about, clusterSchema, text } from './cluster-config.ts'
import type { Policies } from './defaults.ts'
import { type Budgets, budgetDefaults, flowDefaults, policyDefaults } from './defaults.ts'
import { parseSelector, type TopicRules } from './topic-selection.ts'

const MINUTE_MS = 60_000
const GIB = 1024 ** 3

/** A whole number. It may arrive as text, from the environment. */
const count = (min: number, max: number) =>
  z.coerce
    .number<unknown>(`a whole number from ${min} to ${max}`)
    .int(`a whole number from ${min} to ${max}`)
    .min(min, `a whole number from ${min} to ${max}`)
    .max(max, `a whole number from ${min} to ${max}`)

const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, values.join(' | '))

const budgets = z.strictObject(
  {
    leaseMs: about(
      'How long a partition stays reserved for an invocation that crashed.',
      count(5_000, 5 * MINUTE_MS).default(budgetDefaults.leaseMs),
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

const selector = text('a topic name, or a pattern between slashes').transform((value, context) => {
  const parsed = parseSelector(value)
  if (parsed === null) {
    context.addIssue({ code: 'custom', message: 'a topic name, or a pattern between slashes' })
    return z.NEVER
  }
  return parsed
})

const flow = z.strictObject(
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
      z.array(selector, 'a list of topics').min(1, 'at least one topic or pattern'),
    ),
    exclude: about(
      'Topics that `topics` matches and that are not replicated, in the same form.',
      z.array(selector, 'a list of topics').default([...flowDefaults.exclude]),
    ),
    naming: about(
      '`prefix`: `orders` of cluster `primary` becomes `primary.orders`. `identity`: the name stays `orders`.',
      oneOf('prefix', 'identity').default(flowDefaults.naming),
    ),
    startFrom: about(
      'Where a partition without a checkpoint starts.',
      oneOf('log-start', 'log-end').default(policyDefaults.startFrom),
    ),
    onTruncation: about(
      'When the source deleted records before they were replicated.',
      oneOf('halt', 'continue').default(policyDefaults.onTruncation),
    ),
    onReset: about(
      'When a topic was deleted and recreated on the source.',
      oneOf('resume', 'halt').default(policyDefaults.onReset),
    ),
    onDivergence: about(
      'When the source lost records that the standby has (unclean leader election).',
      oneOf('halt', 'continue').default(policyDefaults.onDivergence),
    ),
    mode: about(
      '`batch`: an invocation ends when it has caught up. `continuous`: it copies until its deadline and hands over.',
      oneOf('batch', 'continuous').default(flowDefaults.mode),
    ),
    budgets: about('Limits on time, memory and parallelism.', budgets.prefault({})),
  },
  '{ name, from, to, topics, … }',
)

/** The schema of gapless.yml. */
export const configSchema = z.strictObject(
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
export type Config = z.output<typeof configSchema>
export type FlowConfig = Config['flows'][number] & TopicRules & Policies & { budgets: Budgets }

export type ConfigPath = readonly (string | number)[]

/** A refused value: its path, and the form that would be accepted there. */
export type ConfigProblem = { readonly path: ConfigPath; readonly accepted: string }

export type ParsedConfig =
  | { readonly kind: 'valid'; readonly config: Config }
  | { readonly kind: 'invalid'; readonly problems: readonly ConfigProblem[] }

/**
 * Checks a parsed document. Unknown keys are refused: a misspelt policy must not fall back to its
 * default unnoticed.
 */
export function parseConfig(document: unknown): ParsedConfig {
  const parsed = configSchema.safeParse(document)
  if (!parsed.success) {
    return { kind: 'invalid', problems: parsed.error.issues.flatMap(problemsOf) }
  }
  const problems = crossChecks(parsed.data)
  return problems.length > 0
    ? { kind: 'invalid', problems }
    : { kind: 'valid', config: deepFreeze(parsed.data) }
}

function problemsOf(issue: z.core.$ZodIssue): ConfigProblem[] {
  const path = issue.path.filter(part => typeof part !== 'symbol')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({
      path: [...path, key],
      accepted: `no such key; known keys: see docs/CONFIG.md`,
    }))
  }
  return [{ path, accepted: issue.message }]
}

function crossChecks({ clusters, flows }: Config): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  for (const [name, { tls, sasl }] of Object.entries(clusters)) {
    if (sasl?.mechanism !== 'aws-msk-iam' || tls !== false) continue
    const accepted = 'true: MSK takes aws-msk-iam over TLS only'
    problems.push({ path: ['clusters', name, 'tls'], accepted })
  }
  const names = Object.keys(clusters).join(' | ')
  const seen = new Set<string>()
  flows.forEach((each, index) => {
    const at = (key: string, accepted: string) =>
      problems.push({ path: ['flows', index, key], accepted })
    if (!(each.from in clusters)) at('from', names)
    if (!(each.to in clusters)) at('to', names)
    if (each.from === each.to) at('to', `another cluster than "${each.from}"`)
    if (seen.has(each.name)) at('name', 'a name no other flow has')
    seen.add(each.name)
    const { leaseMs, requestTimeoutMs, checkpointIntervalMs } = each.budgets
    // A Produce request that outlives the lease could be acknowledged to a former owner.
    if (requestTimeoutMs >= leaseMs) at('budgets', 'requestTimeoutMs below leaseMs')
    if (checkpointIntervalMs * 2 > leaseMs)
      at('budgets', 'checkpointIntervalMs at most leaseMs / 2')
  })
  return problems
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !(value instanceof RegExp)) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}
