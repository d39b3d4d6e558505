// Owns comparing the settings of a flow's standby topics with those of their source topics: one
// DescribeConfigs per side, whatever the number of topics. `plan`, `watch` and `gapless status` all
// read them here. Does not own which difference loses something (core/standby/lossy-settings.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { lossySettingsSaidMax } from '../../core/config/defaults.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import type { Incident } from '../../core/incident.ts'
import {
  comparedConfigs,
  type LossySetting,
  lossySettings,
  lossySettingText,
  missingSettings,
  type Settings,
} from '../../core/standby/lossy-settings.ts'
import { travellingConfigs } from '../../core/standby/topic-configs.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { TopicConfig } from '../../io/cluster/topic-config.ts'
import { unobserved } from './logs.ts'

export type SettingsDeps = {
  readonly source: Pick<Cluster, 'name' | 'readTopicConfigs'>
  readonly target: Pick<Cluster, 'name' | 'readTopicConfigs'>
}

/** A lossy setting of one standby topic; `text` is the sentence for operators. */
export type LossyTopicSetting = LossySetting & {
  readonly topic: string
  readonly targetTopic: string
  readonly text: string
}

export type UnknownSettings = {
  readonly cluster: string
  /** Null: the whole cluster did not answer. */
  readonly topic: string | null
  readonly text: string
}

export type StandbySettings = {
  /** False where nothing was compared, because a cluster is simulated or did not answer. */
  readonly wereCompared: boolean
  readonly lossy: readonly LossyTopicSetting[]
  /** Topics whose settings could not be read: what the standby loses is not known. */
  readonly unknown: readonly UnknownSettings[]
  /** Effective settings of the source topics that could be read. */
  readonly ofSource: ReadonlyMap<string, Settings>
}

/**
 * Compares the topics that exist on both sides. Never throws when a cluster refuses or does not
 * answer. A simulated cluster has no settings, and nothing is compared.
 */
export async function compareSettings(
  { source, target }: SettingsDeps,
  flow: FlowConfig,
  topics: readonly string[],
): Promise<StandbySettings> {
  const readers = [source.readTopicConfigs, target.readTopicConfigs]
  if (topics.length === 0 || readers.includes(undefined)) {
    const wereCompared = topics.length === 0
    return { wereCompared, lossy: [], unknown: [], ofSource: new Map() }
  }
  const standby = topics.map(topic => targetTopicName(flow, topic))
  const [ofSource, ofTarget] = await Promise.all([read(source, topics), read(target, standby)])
  const followed = new Set(travellingConfigs(flow.sync))
  const lossy: LossyTopicSetting[] = []
  const unknown = [...ofSource.silence, ...ofTarget.silence]
  for (const topic of topics) {
    const targetTopic = targetTopicName(flow, topic)
    const [left, right] = [ofSource.settings.get(topic), ofTarget.settings.get(targetTopic)]
    if (left === undefined || right === undefined) continue
    const at = { topic, targetTopic, source: source.name, target: target.name }
    for (const found of lossySettings(left, right)) {
      const isFollowed = flow.sync.configs === 'follow' && followed.has(found.setting)
      const text = lossySettingText(found, { ...at, isFollowed })
      lossy.push({ ...found, topic, targetTopic, text })
    }
  }
  const wereCompared = unknown.every(each => each.topic !== null)
  return { wereCompared, lossy, unknown, ofSource: ofSource.settings }
}

/** The sentences about a comparison: at most `textsMax`, and one that counts the rest. */
export function settingsTexts(
  { lossy, unknown }: StandbySettings,
  flow: string,
  textsMax = lossySettingsSaidMax,
): string[] {
  const texts = [...lossy, ...unknown].map(each => each.text)
  if (texts.length <= textsMax) return texts
  const rest = texts.length - textsMax
  return [
    ...texts.slice(0, textsMax),
    `and ${rest} more settings like these; all of them: gapless status --flow ${flow}`,
  ]
}

/** The sentence of every tick and of the status about an open `standby-truncated` incident. */
export function truncatedWarning({ topic, partition, id, flow, ...incident }: Incident): string {
  const { onlyOnSourceFrom, onlyOnSourceTo } = incident.evidence
  return (
    `the standby of ${topic}-${partition} has lost up to ${incident.lostRecordsMax} records that the ` +
    `source still holds, source offsets [${onlyOnSourceFrom}, ${onlyOnSourceTo}), incident ${id}. ` +
    `What to do: gapless incidents --flow ${flow}, and docs/INCIDENTS.md, standby-truncated.`
  )
}

type Read = {
  readonly settings: ReadonlyMap<string, Settings>
  readonly silence: readonly UnknownSettings[]
}

async function read(
  cluster: Pick<Cluster, 'name' | 'readTopicConfigs'>,
  topics: readonly string[],
): Promise<Read> {
  const answer = await cluster
    .readTopicConfigs?.(topics, comparedConfigs)
    .catch(error => unobserved(error, null))
  const settings = new Map<string, Settings>()
  if (answer === undefined) return { settings, silence: [] }
  if ('kind' in answer) return { settings, silence: [silent(cluster.name, null, answer.detail)] }
  const silence: UnknownSettings[] = []
  for (const topic of topics) {
    const found = settingsOf(topic, answer.get(topic))
    if (typeof found === 'string') silence.push(silent(cluster.name, topic, found))
    else if (found !== null) settings.set(topic, found)
  }
  return { settings, silence }
}

/** Null for a topic that does not exist: the observation of the logs says so already. */
function settingsOf(topic: string, config: TopicConfig | undefined): Settings | string | null {
  if (config === undefined) return `DescribeConfigs left out topic ${topic}`
  if (config.kind === 'unobserved') {
    return config.errorName === 'UNKNOWN_TOPIC_OR_PARTITION' ? null : config.detail
  }
  const missing = missingSettings(config.values)
  if (missing.length === 0) return config.values
  return `DescribeConfigs of topic ${topic} left out ${missing.join(' and ')}`
}

function silent(cluster: string, topic: string | null, detail: string): UnknownSettings {
  const isDenied = detail.includes('AUTHORIZATION_FAILED')
  const text =
    'settings of source and standby cannot be compared, so it is not known what the standby loses: ' +
    `${cluster}: ${detail}.${isDenied ? ' Grant DescribeConfigs on this topic (docs/SECURITY.md).' : ''}`
  return { cluster, topic, text }
}
