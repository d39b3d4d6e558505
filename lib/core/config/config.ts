// Owns the configuration's one schema: what gapless.yml may say and what it means once the defaults
// are in. Does not own the file, the environment, or line numbers (io/config/config-file.ts).

import { z } from 'zod'
import { clusterSchema, text } from './cluster-config.ts'
import type { Policies } from './defaults.ts'
import { type Budgets, budgetDefaults, policyDefaults } from './defaults.ts'
import { parseSelector, type TopicRules } from './topic-selection.ts'

const MINUTE_MS = 60_000
const GIB = 1024 ** 3

/** Numbers may arrive as text, from the environment. */
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
    leaseMs: count(5_000, 5 * MINUTE_MS).default(budgetDefaults.leaseMs),
    checkpointIntervalMs: count(100, MINUTE_MS).default(budgetDefaults.checkpointIntervalMs),
    requestTimeoutMs: count(1_000, 2 * MINUTE_MS).default(budgetDefaults.requestTimeoutMs),
    reserveMs: count(100, 2 * MINUTE_MS).default(budgetDefaults.reserveMs),
    fetchWaitMs: count(1, 10_000).default(budgetDefaults.fetchWaitMs),
    fetchBytesMax: count(1024, GIB).default(budgetDefaults.fetchBytesMax),
    partitionFetchBytesMax: count(1024, GIB).default(budgetDefaults.partitionFetchBytesMax),
    bufferBytesMax: count(1024, GIB).default(budgetDefaults.bufferBytesMax),
    shardPartitionsMax: count(1, 10_000).default(budgetDefaults.shardPartitionsMax),
    workersMax: count(1, 1_000).default(budgetDefaults.workersMax),
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
    name: text('letters, digits, . _ -').regex(/^[a-zA-Z0-9._-]{1,100}$/, 'letters, digits, . _ -'),
    from: text('the name of a cluster'),
    to: text('the name of a cluster'),
    topics: z.array(selector, 'a list of topics').min(1, 'at least one topic or pattern'),
    exclude: z.array(selector, 'a list of topics').default([]),
    naming: oneOf('prefix', 'identity').default('prefix'),
    startFrom: oneOf('log-start', 'log-end').default(policyDefaults.startFrom),
    onTruncation: oneOf('halt', 'continue').default(policyDefaults.onTruncation),
    onReset: oneOf('resume', 'halt').default(policyDefaults.onReset),
    onDivergence: oneOf('halt', 'continue').default(policyDefaults.onDivergence),
    mode: oneOf('batch', 'continuous').default('batch'),
    budgets: budgets.prefault({}),
  },
  '{ name, from, to, topics, … }',
)

const schema = z.strictObject(
  {
    clusters: z.record(
      z.string().regex(/^[a-zA-Z0-9._-]{1,100}$/, 'letters, digits, . _ -'),
      clusterSchema,
      'clusters by name',
    ),
    flows: z.array(flow, 'a list of flows').min(1, 'at least one flow'),
  },
  '{ clusters, flows }',
)

export type ClusterConfig = z.output<typeof clusterSchema>
export type Config = z.output<typeof schema>
export type FlowConfig = Config['flows'][number] & TopicRules & Policies & { budgets: Budgets }

export type ConfigPath = readonly (string | number)[]

/** One thing that is wrong: where, and what would be accepted there. */
export type ConfigProblem = { readonly path: ConfigPath; readonly accepted: string }

export type ParsedConfig =
  | { readonly kind: 'valid'; readonly config: Config }
  | { readonly kind: 'invalid'; readonly problems: readonly ConfigProblem[] }

/**
 * Checks a parsed document. Unknown keys are refused: a misspelt policy
 * must not fall back in silence.
 */
export function parseConfig(document: unknown): ParsedConfig {
  const parsed = schema.safeParse(document)
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
    // A produce that may outlive the lease could be acknowledged to an owner who is none any more.
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
