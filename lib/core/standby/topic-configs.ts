// Owns which configs of a source topic its standby topic is created with and keeps, and why: a
// standby that has the defaults of its broker deletes, compacts or refuses what the source keeps.
// docs/STANDBY-TOPICS.md prints the table. Does not own how configs are read
// (io/cluster/topic-config.ts), how a topic is created (run/plan/standby-topics.ts), nor the
// comparison with a standby topic that exists (lossy-settings.ts, sync/config-changes.ts).

/** How one topic config of the source gets to its standby topic. */
export type Travel =
  /** The effective value, also one that the topic inherits from its broker. */
  | { readonly kind: 'effective' }
  /** The effective value where the topic is compacted, else nothing. */
  | { readonly kind: 'effective-if-compacted' }
  /** The value that is set on the topic itself; nothing where it is inherited. */
  | { readonly kind: 'if-set' }
  /** The effective value or this one, whichever is larger. */
  | { readonly kind: 'at-least'; readonly value: bigint }
  /** The same value on every standby topic, whatever the source has. */
  | { readonly kind: 'always'; readonly value: string }
  /** Not set: the default of the standby applies. */
  | { readonly kind: 'never' }

type Row = Travel & { readonly why: string }

/** Kafka's default of max.message.bytes (ServerLogConfigs.MAX_MESSAGE_BYTES_DEFAULT). */
const messageBytesDefault = 1_048_588n

const unlimited = String(2n ** 63n - 1n)

/** Every topic config of Kafka 4.3 (TopicConfig, QuotaConfig) and of the versions before. */
export const topicConfigs = {
  'cleanup.policy': {
    kind: 'effective',
    why: 'a compacted topic must not be deleted by age, and a topic that is not compacted must not lose older values of a key',
  },
  'retention.ms': {
    kind: 'effective',
    why: 'the standby must keep records as long as the source, also where the source has its retention from its broker',
  },
  'retention.bytes': { kind: 'effective', why: 'the same by size, per partition' },
  'delete.retention.ms': {
    kind: 'effective-if-compacted',
    why: 'tombstones are kept as long as on the source, so that a slow consumer still sees them',
  },
  'min.compaction.lag.ms': {
    kind: 'effective-if-compacted',
    why: 'older values of a key are kept at least as long as on the source',
  },
  'max.compaction.lag.ms': {
    kind: 'effective-if-compacted',
    why: 'a value that the source must compact away in time is not kept longer on the standby',
  },
  'min.cleanable.dirty.ratio': { kind: 'if-set', why: 'compaction is about as eager' },
  'segment.bytes': {
    kind: 'if-set',
    why: 'retention deletes whole segments, so both sides delete about the same records at a time',
  },
  'segment.ms': { kind: 'if-set', why: 'the same by time' },
  'flush.messages': { kind: 'if-set', why: 'the durability that the owner of the topic asked for' },
  'flush.ms': { kind: 'if-set', why: 'the same by time' },
  'max.message.bytes': {
    kind: 'at-least',
    value: messageBytesDefault,
    why: 'a batch of the source must fit. Never less than the default of Kafka: small batches are coalesced, and a larger limit refuses nothing',
  },
  'compression.type': {
    kind: 'always',
    value: 'producer',
    why: 'batches stay as the source compressed them. A broker that compresses again changes the bytes that a recovery compares',
  },
  'message.timestamp.type': {
    kind: 'always',
    value: 'CreateTime',
    why: 'the standby keeps the timestamps that consumers of the source see, also those that the source itself assigned (LogAppendTime)',
  },
  'message.timestamp.before.max.ms': {
    kind: 'always',
    value: unlimited,
    why: 'a record is older when it is copied than when it was produced: a limit would refuse it',
  },
  'message.timestamp.after.max.ms': {
    kind: 'always',
    value: unlimited,
    why: 'what the source accepted is not refused; the default is one hour since Kafka 4.0',
  },
  'message.timestamp.difference.max.ms': {
    kind: 'never',
    why: 'removed in Kafka 4.0, unlimited by default before. The two limits above replace it',
  },
  'min.insync.replicas': {
    kind: 'never',
    why: 'belongs to a number of replicas, which is the default of the standby: more than that would refuse every record. A lower value is a warning',
  },
  'unclean.leader.election.enable': {
    kind: 'never',
    why: 'a choice of each cluster. A standby that allows it where the source does not is a warning',
  },
  'leader.replication.throttled.replicas': { kind: 'never', why: 'names brokers of the source' },
  'follower.replication.throttled.replicas': { kind: 'never', why: 'names brokers of the source' },
  'remote.storage.enable': {
    kind: 'never',
    why: 'needs tiered storage on the standby. Without it the whole retention is on the disks of the standby',
  },
  'local.retention.ms': { kind: 'never', why: 'has a meaning only with tiered storage' },
  'local.retention.bytes': { kind: 'never', why: 'has a meaning only with tiered storage' },
  'remote.log.copy.disable': { kind: 'never', why: 'has a meaning only with tiered storage' },
  'remote.log.delete.on.disable': { kind: 'never', why: 'has a meaning only with tiered storage' },
  'segment.jitter.ms': { kind: 'never', why: 'about the disks of a broker' },
  'segment.index.bytes': { kind: 'never', why: 'about the disks of a broker' },
  'index.interval.bytes': { kind: 'never', why: 'about the disks of a broker' },
  'file.delete.delay.ms': { kind: 'never', why: 'about the disks of a broker' },
  preallocate: { kind: 'never', why: 'about the disks of a broker' },
  'compression.gzip.level': { kind: 'never', why: 'unused with compression.type=producer' },
  'compression.lz4.level': { kind: 'never', why: 'unused with compression.type=producer' },
  'compression.zstd.level': { kind: 'never', why: 'unused with compression.type=producer' },
  'message.format.version': {
    kind: 'never',
    why: 'removed in Kafka 4.0; gapless writes format v2',
  },
  'message.downconversion.enable': { kind: 'never', why: 'removed in Kafka 4.0' },
} as const satisfies Record<string, Row>

/** The keys of `sync` that change the table for one flow. */
export type ConfigRules = {
  readonly includeConfigs: readonly string[]
  readonly excludeConfigs: readonly string[]
  readonly useDefaults: 'source' | 'standby'
}

/** The table as it is. */
export const tableRules: ConfigRules = {
  includeConfigs: [],
  excludeConfigs: [],
  useDefaults: 'source',
}

/** The configs that decide what the standby keeps; they are tried even where others are refused. */
export const keepingConfigs = ['cleanup.policy', 'retention.ms', 'retention.bytes'] as const

/** The configs of a topic as DescribeConfigs names them, inherited ones included. */
export type SourceConfigs = {
  readonly values: ReadonlyMap<string, string>
  /** Names of the configs that are set on the topic itself. */
  readonly own: ReadonlySet<string>
}

/** What a standby topic is to have for one config. */
export type WantedConfig = {
  readonly config: string
  /** Null: the standby topic does not set the config, so the default of the standby applies. */
  readonly value: string | null
  /** A larger number loses nothing, and records that need it may wait to be copied. */
  readonly isMinimum: boolean
}

/** What the standby topic is to have, for every config that travels from this source topic. */
export function wantedConfigs(source: SourceConfigs, rules: ConfigRules): WantedConfig[] {
  const { values, own } = source
  const isCompacted = policiesOf(values.get('cleanup.policy')).has('compact')
  return travels(rules).flatMap(([config, travel]) => {
    const topic = { isOwn: own.has(config), isCompacted }
    const value = travelled(travel, values.get(config), topic)
    return value === undefined ? [] : [{ config, value, isMinimum: travel.kind === 'at-least' }]
  })
}

/** The names of the configs that `wantedConfigs` may look at. */
export function travellingConfigs(rules: ConfigRules): string[] {
  return travels(rules).flatMap(([config, { kind }]) => (kind === 'never' ? [] : [config]))
}

/** The table with the changes of a flow. */
function travels(rules: ConfigRules): (readonly [string, Travel])[] {
  const table = new Map<string, Travel>(Object.entries<Travel>(topicConfigs))
  for (const config of rules.includeConfigs) {
    const kind = table.get(config)?.kind
    // Such a row is about every standby topic, so the source decides nothing about it.
    if (kind !== 'always' && kind !== 'at-least') table.set(config, { kind: 'effective' })
  }
  for (const config of rules.excludeConfigs) table.set(config, { kind: 'never' })
  return [...table].map(([config, travel]) => [config, withDefaultsOf(rules, travel)])
}

/** With the defaults of the standby, only what is set on the source topic itself travels. */
function withDefaultsOf({ useDefaults }: ConfigRules, travel: Travel): Travel {
  const isInherited = travel.kind === 'effective' || travel.kind === 'effective-if-compacted'
  return useDefaults === 'standby' && isInherited ? { kind: 'if-set' } : travel
}

export type StandbyConfigs = {
  readonly configs: Readonly<Record<string, string>>
  /** Set on the source topic, and not in the table: such a config does not travel. */
  readonly unknown: readonly string[]
}

/** The configs that a standby topic is created with. */
export function standbyConfigs(
  source: SourceConfigs,
  rules: ConfigRules = tableRules,
): StandbyConfigs {
  const configs: Record<string, string> = {}
  for (const { config, value } of wantedConfigs(source, rules)) {
    if (value !== null) configs[config] = value
  }
  const named = new Set([...rules.includeConfigs, ...rules.excludeConfigs])
  const isKnown = (name: string) => name in topicConfigs || named.has(name)
  return { configs, unknown: [...source.own].filter(name => !isKnown(name)).sort() }
}

/**
 * What a standby topic is created with while the configs of the source may not be read: no
 * retention deletes anything, because what the source keeps is not known.
 */
export function cautiousConfigs(): Readonly<Record<string, string>> {
  const { configs } = standbyConfigs({ values: new Map(), own: new Set() })
  return { ...configs, 'retention.ms': '-1', 'retention.bytes': '-1' }
}

/** Undefined: nothing is wanted. Null: the standby topic does not set it. */
function travelled(
  travel: Travel,
  value: string | undefined,
  topic: { readonly isOwn: boolean; readonly isCompacted: boolean },
): string | null | undefined {
  switch (travel.kind) {
    case 'effective':
      return value
    case 'effective-if-compacted':
      return topic.isCompacted || topic.isOwn ? value : null
    case 'if-set':
      return topic.isOwn ? value : null
    case 'at-least': {
      const isLarger = value !== undefined && /^\d+$/.test(value) && BigInt(value) > travel.value
      return isLarger ? value : String(travel.value)
    }
    case 'always':
      return travel.value
    case 'never':
      return undefined
  }
}

/** The parts of a cleanup.policy, a list: `compact,delete`. Kafka 4.1 and later allow none. */
export function policiesOf(text: string | undefined): ReadonlySet<string> {
  const parts = (text ?? '').split(',').map(each => each.trim())
  return new Set(parts.filter(each => each !== ''))
}

/** Whether the log cleaner works on a topic with these configs. False where they were not read. */
export function isCompacted(
  config:
    | { readonly kind: 'read'; readonly values: ReadonlyMap<string, string> }
    | { readonly kind: 'unobserved' }
    | undefined,
): boolean {
  return config?.kind === 'read' && policiesOf(config.values.get('cleanup.policy')).has('compact')
}

/** The names of `configs` that the answer of a broker mentions as a whole word. */
export function refusedConfigs(
  answer: string,
  configs: Readonly<Record<string, string>>,
): string[] {
  return Object.keys(configs).filter(name => {
    const word = name.replaceAll('.', '\\.')
    return new RegExp(`(?<![\\w.-])${word}(?![\\w-]|\\.\\w)`).test(answer)
  })
}
