// Owns the configs of standby topics that follow their source topics: one DescribeConfigs a side,
// and one alteration for all topics that differ. Changes made at the standby are set back. Does not
// own which configs travel (core/standby/topic-configs.ts), which value differs
// (core/sync/config-changes.ts), nor the creation of topics (run/plan/standby-topics.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { owedConfigs, paddedConfigs } from '../../core/offsets/padding.ts'
import { configCommand } from '../../core/standby/config-command.ts'
import { type SourceConfigs, travellingConfigs } from '../../core/standby/topic-configs.ts'
import { type ConfigChange, configChanges } from '../../core/sync/config-changes.ts'
import type { AlterationOutcome, TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { TopicConfig } from '../../io/cluster/topic-config.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { KnownTopic } from '../observe/followed-topics.ts'
import { unobserved } from '../observe/logs.ts'

export type SyncConfigsDeps = {
  readonly source: Pick<Cluster, 'name' | 'readTopicConfigs'>
  readonly target: Pick<Cluster, 'name' | 'readTopicConfigs'>
  /** Called only when a config is to be changed. */
  readonly openTargetAdmin: () => Pick<TopicAdmin, 'alterConfigs'>
}

export type TopicConfigChange = ConfigChange & {
  readonly topic: string
  readonly targetTopic: string
}

/** `reason`: Kafka's error, and the command to type. */
export type RefusedConfig = TopicConfigChange & { readonly reason: string }

export type SyncedConfigs = {
  readonly changed: readonly TopicConfigChange[]
  /** Differ and are left, because the flow has `sync.configs: report`. */
  readonly differing: readonly TopicConfigChange[]
  readonly refused: readonly RefusedConfig[]
  /** Topics or clusters whose configs could not be read: nothing is known about them. */
  readonly unknown: readonly string[]
}

const nothing: SyncedConfigs = { changed: [], differing: [], refused: [], unknown: [] }

/** Never throws when a cluster refuses or does not answer. */
export async function syncConfigs(
  deps: SyncConfigsDeps,
  flow: FlowConfig,
  topics: readonly KnownTopic[],
): Promise<SyncedConfigs> {
  if (flow.sync.configs === 'off' || topics.length === 0) return nothing
  const names = travellingConfigs(flow.sync)
  const [source, target] = await Promise.all([
    read(
      deps.source,
      topics.map(each => each.topic),
      names,
    ),
    read(
      deps.target,
      topics.map(each => each.targetTopic),
      names,
    ),
  ])
  const unknown = [...source.unknown, ...target.unknown]
  const changes = topics.flatMap(({ topic, targetTopic, checkpoints }) => {
    // Whoever pads a partition of the topic sets these configs back.
    const isPadded = checkpoints.some(({ position }) => owedConfigs(position.padding) !== null)
    const [left, right] = [source.configs.get(topic), target.configs.get(targetTopic)]
    if (left === undefined || right === undefined) return []
    return configChanges(left, right, flow.sync)
      .filter(({ config }) => !(isPadded && isPaddedConfig(config)))
      .map(each => ({ ...each, topic, targetTopic }))
  })
  if (flow.sync.configs === 'report') return { ...nothing, differing: changes, unknown }
  if (changes.length === 0) return { ...nothing, unknown }
  try {
    return { ...(await alter(deps, changes)), differing: [], unknown }
  } catch (error) {
    if (!(error instanceof ReplicatorError)) throw error
    return { ...nothing, differing: changes, unknown: [...unknown, error.message] }
  }
}

function isPaddedConfig(config: string): boolean {
  return paddedConfigs.some(each => each === config)
}

type Altered = Pick<SyncedConfigs, 'changed' | 'refused'>

/**
 * All changes of a topic at once, because a cleanup.policy and a retention belong together. Where
 * the standby refuses a topic, its changes are sent one by one: a config that it does not allow
 * must not keep the retention from following.
 */
async function alter(
  { openTargetAdmin, target }: SyncConfigsDeps,
  changes: readonly TopicConfigChange[],
): Promise<Altered> {
  const admin = openTargetAdmin()
  const changed: TopicConfigChange[] = []
  const refused: RefusedConfig[] = []
  /** Each inner list is about one topic, and each topic is in the request once. */
  const send = async (groups: readonly (readonly TopicConfigChange[])[]) => {
    const outcomes = await admin.alterConfigs(groups.map(alterationOf))
    return groups.map(each => {
      const outcome = outcomes.find(({ topic }) => topic === each[0]?.targetTopic)
      return { changes: each, outcome: outcome ?? leftOut(each) }
    })
  }
  const byTopic = [...Map.groupBy(changes, each => each.targetTopic).values()]
  const again: (readonly TopicConfigChange[])[] = []
  for (const { changes: sent, outcome } of await send(byTopic)) {
    if (outcome.errorName === 'NONE') changed.push(...sent)
    else if (sent.length > 1 && isAboutConfigs(outcome)) again.push(sent)
    else refused.push(...sent.map(each => refusedConfig(target.name, each, outcome)))
  }
  const rounds = Math.max(0, ...again.map(each => each.length))
  // Ends: a topic has no more changes than the table has configs.
  for (let round = 0; round < rounds; round += 1) {
    const single = again.flatMap(each => {
      const change = each[round]
      return change === undefined ? [] : [[change]]
    })
    for (const { changes: sent, outcome } of await send(single)) {
      if (outcome.errorName === 'NONE') changed.push(...sent)
      else refused.push(...sent.map(each => refusedConfig(target.name, each, outcome)))
    }
  }
  return { changed, refused }
}

/** Brokers answer INVALID_CONFIG, policies POLICY_VIOLATION, and proxies INVALID_REQUEST. */
function isAboutConfigs({ errorName }: AlterationOutcome): boolean {
  return ['INVALID_CONFIG', 'POLICY_VIOLATION', 'INVALID_REQUEST'].includes(errorName)
}

function alterationOf(changes: readonly TopicConfigChange[]) {
  const topic = changes[0]?.targetTopic ?? ''
  return { topic, configs: changes.map(({ config, to: value }) => ({ config, value })) }
}

function leftOut(changes: readonly TopicConfigChange[]): AlterationOutcome {
  const topic = changes[0]?.targetTopic ?? ''
  return { topic, errorName: 'UNKNOWN_SERVER_ERROR', detail: 'left out of the answer' }
}

function refusedConfig(
  cluster: string,
  change: TopicConfigChange,
  { errorName, detail }: AlterationOutcome,
): RefusedConfig {
  const { targetTopic: topic, config, to: value } = change
  const said = detail === null || detail === '' ? errorName : `${errorName}: ${detail}`
  const right = errorName.endsWith('_AUTHORIZATION_FAILED')
    ? 'Grant AlterConfigs on the topic (docs/SECURITY.md), or set it by hand'
    : 'To set it by hand'
  const command = configCommand({ cluster, topic, config, value })
  return { ...change, reason: `${said.replace(/\.$/, '')}. ${right}: ${command}` }
}

type Read = {
  readonly configs: ReadonlyMap<string, SourceConfigs>
  readonly unknown: readonly string[]
}

async function read(
  { name, readTopicConfigs }: Pick<Cluster, 'name' | 'readTopicConfigs'>,
  topics: readonly string[],
  configNames: readonly string[],
): Promise<Read> {
  const configs = new Map<string, SourceConfigs>()
  // A simulated cluster has no configs.
  if (readTopicConfigs === undefined) return { configs, unknown: [] }
  const answer = await readTopicConfigs(topics, configNames).catch(error => unobserved(error, null))
  if ('kind' in answer) return { configs, unknown: [`${name}: ${answer.detail}`] }
  const unknown: string[] = []
  for (const topic of topics) {
    const found: TopicConfig | undefined = answer.get(topic)
    if (found?.kind === 'read') {
      configs.set(topic, { values: found.values, own: found.own ?? new Set() })
    } else if (found?.errorName !== 'UNKNOWN_TOPIC_OR_PARTITION') {
      unknown.push(`${name}: ${found?.detail ?? `DescribeConfigs left out topic ${topic}`}`)
    }
  }
  return { configs, unknown }
}
