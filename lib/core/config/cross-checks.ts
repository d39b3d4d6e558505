// Owns the checks of a configuration that look at more than one value: the clusters that a flow
// names, flows that write into one topic, credentials in the clear. They see every value that is
// right by itself, so that a wrong one hides none of them. Does not own the schema (config.ts).

import type { z } from 'zod'
import type { clusterSchema } from './cluster-config.ts'
import type { ConfigPath, ConfigProblem } from './config-problem.ts'
import type { Budgets } from './defaults.ts'
import { findContests, findRings, type IsOneCluster, type NamedRules } from './flow-conflicts.ts'

/** The stage of `npm start`, of tests and of drills. */
export const localStage = 'local'

/** What the schema accepts of a document; absent: a value is missing or wrong. */
export type ReadableConfig = {
  readonly clusters: Readonly<Record<string, Partial<ClusterConfig>>>
  readonly flows: readonly ReadableFlow[]
}
type ClusterConfig = z.output<typeof clusterSchema>
type ReadableFlow = Partial<NamedRules> & {
  readonly budgets: Partial<Budgets>
  readonly sync?: { readonly heartbeats: 'mirror-maker' | 'off' }
  readonly offsets?: 'preserve' | 'translate'
  readonly fillers?: 'transactions' | 'markers'
}

export function crossChecks(config: ReadableConfig, stage: string): ConfigProblem[] {
  return [
    ...Object.entries(config.clusters).flatMap(([name, each]) => clusterChecks(name, each, stage)),
    ...config.flows.flatMap((each, index) => flowChecks(config, each, index)),
    ...pairChecks(config),
  ]
}

/** Two names that have a bootstrap address in common stand for one cluster. */
export function sameClusters(
  clusters: Readonly<Record<string, Pick<Partial<ClusterConfig>, 'brokers'>>>,
): IsOneCluster {
  const addresses = new Map(
    Object.entries(clusters).map(([name, { brokers = [] }]) => [
      name,
      brokers.map(each => each.toLowerCase()),
    ]),
  )
  return (one, other) =>
    one === other ||
    (addresses.get(one) ?? []).some(each => addresses.get(other)?.includes(each) ?? false)
}

function clusterChecks(
  name: string,
  cluster: Partial<ClusterConfig>,
  stage: string,
): ConfigProblem[] {
  const { watch, insecure } = cluster
  const { tls, sasl } = cluster
  const own = identityChecks(['clusters', name], { tls, sasl, insecure }, stage)
  if (watch === undefined) return own
  const other = { tls: watch.tls ?? tls, sasl: watch.sasl ?? sasl, insecure }
  return [...own, ...identityChecks(['clusters', name, 'watch'], other, stage)]
}

type Identity = {
  readonly [K in 'tls' | 'sasl' | 'insecure']: ClusterConfig[K] | undefined
}

/** `tls` undefined: its value is wrong, so nothing can be said about it. */
function identityChecks(
  path: ConfigPath,
  { tls, sasl, insecure }: Identity,
  stage: string,
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (tls === false && sasl?.mechanism === 'aws-msk-iam') {
    const accepted = 'true: MSK takes aws-msk-iam over TLS only'
    problems.push({ path: [...path, 'tls'], accepted })
  }
  const isInClear = sasl?.mechanism === 'plain' || sasl?.mechanism === 'oauthbearer'
  if (tls === false && isInClear && insecure !== true) {
    const what = sasl.mechanism === 'plain' ? 'the password' : 'the token'
    const accepted = `tls for this mechanism, which sends ${what} as it is; or insecure: true, to allow that`
    problems.push({ path: [...path, 'sasl', 'mechanism'], accepted })
  }
  if (typeof tls === 'object' && !tls.rejectUnauthorized && stage !== localStage) {
    const accepted = `true: this is stage ${stage}, and false is for the stage ${localStage} only`
    problems.push({ path: [...path, 'tls', 'rejectUnauthorized'], accepted })
  }
  return problems
}

function flowChecks(
  { clusters, flows }: ReadableConfig,
  flow: ReadableFlow,
  index: number,
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const at = (key: string, accepted: string) =>
    problems.push({ path: ['flows', index, key], accepted })
  const names = Object.keys(clusters)
  const { from, to, name } = flow
  if (from !== undefined && !names.includes(from)) at('from', names.join(' | '))
  if (to !== undefined && !names.includes(to)) at('to', names.join(' | '))
  if (from !== undefined && from === to) at('to', `another cluster than "${from}"`)
  const isTaken = flows.slice(0, index).some(each => each.name === name)
  if (name !== undefined && isTaken) at('name', 'a name no other flow has')
  const isBack = flows.some(each => each.name !== undefined && reverseName(each.name) === name)
  if (isBack)
    at('name', 'a name that no other flow has with .back behind it: its fail-back has that')
  if (flow.fillers === 'markers' && flow.offsets === 'translate')
    at(
      'fillers',
      'transactions with offsets: translate, which fills no offset; or offsets: preserve',
    )
  const { leaseMs, requestTimeoutMs, checkpointIntervalMs } = flow.budgets
  // A Produce request that outlives the lease could be acknowledged to a former owner.
  if (leaseMs !== undefined && requestTimeoutMs !== undefined && requestTimeoutMs >= leaseMs)
    at('budgets', 'requestTimeoutMs below leaseMs')
  if (leaseMs !== undefined && checkpointIntervalMs !== undefined)
    if (checkpointIntervalMs * 2 > leaseMs)
      at('budgets', 'checkpointIntervalMs at most leaseMs / 2')
  return problems
}

/** The name under which the way back of a flow is in the table (reverse-flow.ts). */
export function reverseName(flow: string): string {
  return `${flow}.back`
}

/** What only the flows together can show: one topic with two writers, and rings. */
function pairChecks({ clusters, flows }: ReadableConfig): ConfigProblem[] {
  const isOneCluster = sameClusters(clusters)
  const rules = flows.map(each => rulesOf(each, Object.keys(clusters)))
  const nameOf = (index: number) => `"${flows[index]?.name}"`
  const contests = findContests(rules, isOneCluster).map(({ flow, earlier, targetTopic }) => ({
    path: ['flows', flow, 'topics'],
    accepted:
      `topics that flow ${nameOf(earlier)} does not write: both would write ${targetTopic} on ` +
      `${flows[flow]?.to}; exclude it from one`,
  }))
  const rings = findRings(rules, isOneCluster).map(ring => ({
    path: ['flows', ring[0] ?? 0, 'naming'],
    accepted:
      `prefix, or topics that do not come back: with identity ${ringText(ring, flows)} copy a topic ` +
      'to where it came from, again and again; exclude them from one',
  }))
  return [...contests, ...rings, ...heartbeatChecks(flows, isOneCluster)]
}

/** Two flows between the same clusters would both copy the one topic of heartbeats. */
function heartbeatChecks(
  flows: readonly ReadableFlow[],
  isOneCluster: IsOneCluster,
): ConfigProblem[] {
  const beating = flows.flatMap(({ from, to, name, sync }, index) =>
    from === undefined || to === undefined || sync?.heartbeats !== 'mirror-maker'
      ? []
      : [{ from, to, name, index }],
  )
  return beating.flatMap(({ from, to, index }) => {
    const before = beating.find(
      each => each.index < index && each.from === from && isOneCluster(each.to, to),
    )
    if (before === undefined) return []
    const accepted = `off, because flow "${before.name}" copies heartbeats from ${from} to ${to} already`
    return [{ path: ['flows', index, 'sync', 'heartbeats'], accepted }]
  })
}

function ringText(ring: readonly number[], flows: readonly ReadableFlow[]): string {
  const names = ring.map(
    index => `"${flows[index]?.name}" (${flows[index]?.from} to ${flows[index]?.to})`,
  )
  return `the flows ${names.join(', ')}`
}

/** Null where a value is missing that decides which topics a flow writes. */
function rulesOf(flow: ReadableFlow, clusters: readonly string[]): NamedRules | null {
  const { name, from, to, topics, exclude, naming } = flow
  if (name === undefined || from === undefined || to === undefined) return null
  if (topics === undefined || exclude === undefined || naming === undefined) return null
  return { name, from, to, topics, exclude, naming, clusters }
}
