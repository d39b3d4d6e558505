// Owns the comparison of a standby topic's settings with those of its source topic: every setting
// by which the standby deletes, changes or refuses what the source keeps, as a sentence with both
// values and the command to run. Does not own which configs a standby topic is created with
// (topic-configs.ts), nor the requests (run/observe/standby-settings.ts).

import { configCommand } from './config-command.ts'
import { policiesOf } from './topic-configs.ts'

/** The configs that are compared, as DescribeConfigs names them. */
export const comparedConfigs = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'delete.retention.ms',
  'min.compaction.lag.ms',
  'max.message.bytes',
  'message.timestamp.type',
  'message.timestamp.before.max.ms',
  'message.timestamp.after.max.ms',
  'message.timestamp.difference.max.ms',
  'min.insync.replicas',
  'unclean.leader.election.enable',
] as const

type Name = (typeof comparedConfigs)[number]

/** Effective values by name. A broker leaves out the configs that its version does not know. */
export type Settings = ReadonlyMap<string, string>

export type LossySetting = {
  readonly setting: Name
  /** Null: the source does not have this setting. */
  readonly sourceValue: string | null
  readonly standbyValue: string
  /** `loses`: records or timestamps. `risks`: records, once a broker of the standby fails. */
  readonly severity: 'loses' | 'risks'
  readonly consequence: string
  /** The value that loses nothing. */
  readonly wanted: string
}

/** The settings without which no comparison says anything. */
const required = ['cleanup.policy', 'retention.ms', 'retention.bytes'] as const

/** The required settings that an answer lacks. */
export function missingSettings(settings: Settings): string[] {
  return required.filter(name => !settings.has(name))
}

/** Every setting of the standby topic that loses what the source keeps; none where none does. */
export function lossySettings(source: Settings, standby: Settings): LossySetting[] {
  return [
    ...policyLosses(source, standby),
    ...shorterKept(source, standby),
    ...refusals(source, standby),
    ...risks(source, standby),
  ]
}

function policyLosses(source: Settings, standby: Settings): LossySetting[] {
  const kept = policiesOf(source.get('cleanup.policy'))
  const policy = policiesOf(standby.get('cleanup.policy'))
  const limits = ['retention.ms', 'retention.bytes'] as const
  const deletesSome = policy.has('delete') && limits.some(name => limitOf(standby, name) !== null)
  const losses = [
    ...(deletesSome && !kept.has('delete')
      ? ['the standby deletes records by age or size, and the source deletes none so']
      : []),
    ...(policy.has('compact') && !kept.has('compact')
      ? [
          'the standby compacts away all but the newest record of a key, and refuses records without one',
        ]
      : []),
  ]
  if (losses.length === 0) return []
  return [found(source, standby, 'cleanup.policy', { consequence: losses.join('; ') })]
}

/** Where only the standby deletes at all, its cleanup.policy is named instead. */
function shorterKept(source: Settings, standby: Settings): LossySetting[] {
  const kept = policiesOf(source.get('cleanup.policy'))
  const policy = policiesOf(standby.get('cleanup.policy'))
  const isShorter = (name: Name) => {
    const [limit, other] = [limitOf(standby, name), limitOf(source, name)]
    return limit !== null && (other === null || limit < other) && standby.has(name)
  }
  const shorter = (names: readonly Name[], consequence: string) =>
    names.filter(isShorter).map(name => found(source, standby, name, { consequence }))
  const bothDelete = kept.has('delete') && policy.has('delete')
  const bothCompact = kept.has('compact') && policy.has('compact')
  return [
    ...(bothDelete
      ? shorter(
          ['retention.ms', 'retention.bytes'],
          'the standby deletes records that the source keeps',
        )
      : []),
    ...(bothCompact && source.has('delete.retention.ms')
      ? shorter(['delete.retention.ms'], 'the standby drops tombstones that the source keeps')
      : []),
    ...(bothCompact && source.has('min.compaction.lag.ms')
      ? shorter(
          ['min.compaction.lag.ms'],
          'the standby compacts away older values of a key that the source keeps',
        )
      : []),
  ]
}

/** What the standby does to a record that it is sent: refuses it, or replaces its timestamp. */
function refusals(source: Settings, standby: Settings): LossySetting[] {
  const losses: LossySetting[] = []
  if (isLower('max.message.bytes', source, standby)) {
    const consequence = 'the standby refuses records that the source accepts'
    losses.push(found(source, standby, 'max.message.bytes', { consequence }))
  }
  if (standby.get('message.timestamp.type') === 'LogAppendTime') {
    const consequence =
      'the standby replaces the timestamps of the source, and its retention counts from the copying on'
    const wanted = 'CreateTime'
    losses.push(found(source, standby, 'message.timestamp.type', { consequence, wanted }))
    // Such a broker checks no timestamp that it replaces (LogValidator).
    return losses
  }
  return [...losses, ...timestampLimits(source, standby)]
}

const unlimited = String(2n ** 63n - 1n)

function timestampLimits(source: Settings, standby: Settings): LossySetting[] {
  const older = 'message.timestamp.before.max.ms'
  const newer = 'message.timestamp.after.max.ms'
  const either = 'message.timestamp.difference.max.ms'
  const losses: LossySetting[] = []
  const add = (name: Name, consequence: string) =>
    losses.push(found(source, standby, name, { consequence, wanted: unlimited }))
  // A record is older when it is copied than when it was produced, so that even the limit of the
  // source would refuse records that the source accepted.
  for (const name of [older, either] as const) {
    const limit = timestampLimit(standby, name)
    if (limit !== null) add(name, `the standby refuses records that are older than ${limit} ms`)
  }
  const limit = timestampLimit(standby, newer)
  const sourceLimit = timestampLimit(source, newer) ?? timestampLimit(source, either)
  // A source that assigns the timestamps itself has none ahead of its clock.
  const isNeverAhead = source.get('message.timestamp.type') === 'LogAppendTime'
  if (limit !== null && !isNeverAhead && (sourceLimit === null || limit < sourceLimit)) {
    add(
      newer,
      `the standby refuses records dated more than ${limit} ms ahead, which the source took`,
    )
  }
  return losses
}

function risks(source: Settings, standby: Settings): LossySetting[] {
  const losses: LossySetting[] = []
  const insync = 'min.insync.replicas'
  if (isLower(insync, source, standby)) {
    const consequence =
      'the standby acknowledges records that fewer of its brokers hold, and may lose them with a broker'
    losses.push({ ...found(source, standby, insync, { consequence }), severity: 'risks' })
  }
  const unclean = 'unclean.leader.election.enable'
  if (standby.get(unclean) === 'true' && source.get(unclean) === 'false') {
    const consequence =
      'the standby may elect a leader that lacks acknowledged records, and lose them'
    losses.push({ ...found(source, standby, unclean, { consequence }), severity: 'risks' })
  }
  return losses
}

function isLower(name: Name, source: Settings, standby: Settings): boolean {
  const [limit, sourceLimit] = [limitOf(standby, name), limitOf(source, name)]
  return limit !== null && sourceLimit !== null && limit < sourceLimit
}

function found(
  source: Settings,
  standby: Settings,
  setting: Name,
  { consequence, wanted }: { readonly consequence: string; readonly wanted?: string },
): LossySetting {
  const sourceValue = source.get(setting) ?? null
  return {
    setting,
    sourceValue,
    standbyValue: standby.get(setting) ?? '',
    severity: 'loses',
    consequence,
    wanted: wanted ?? sourceValue ?? unlimited,
  }
}

/** The number in a setting; null for no limit (-1), and where there is no number. */
function limitOf(settings: Settings, name: Name): bigint | null {
  const text = settings.get(name)
  if (text === undefined || !/^-?\d+$/.test(text)) return null
  const value = BigInt(text)
  return value < 0n ? null : value
}

function timestampLimit(settings: Settings, name: Name): bigint | null {
  const limit = limitOf(settings, name)
  return limit === null || String(limit) === unlimited ? null : limit
}

/** The sentence about a lossy setting that operators read, with the command to run. */
export function lossySettingText(
  { setting, sourceValue, standbyValue, consequence, wanted }: LossySetting,
  at: {
    readonly topic: string
    readonly targetTopic: string
    readonly source: string
    readonly target: string
    /** True where sync sets the config by itself. */
    readonly isFollowed?: boolean
  },
): string {
  const sourceText =
    sourceValue === null ? `has no ${setting}` : `has ${setting}=${valueText(setting, sourceValue)}`
  return (
    `standby topic ${at.targetTopic} on ${at.target} has ${setting}=${valueText(setting, standbyValue)}, ` +
    `topic ${at.topic} on ${at.source} ${sourceText}: ${consequence}. ${mended(at, setting, wanted)}`
  )
}

function mended(
  at: { readonly targetTopic: string; readonly target: string; readonly isFollowed?: boolean },
  setting: Name,
  wanted: string,
): string {
  if (at.isFollowed === true) return 'The next tick of sync mends it, or now: gapless sync'
  const to = { cluster: at.target, topic: at.targetTopic, config: setting, value: wanted }
  return `To mend it: ${configCommand(to)}`
}

function valueText(setting: Name, value: string): string {
  if (!setting.endsWith('.ms') || !/^-?\d+$/.test(value)) return value
  if (value.startsWith('-')) return `${value} (for ever)`
  if (value === unlimited) return `${value} (no limit)`
  const days = Number(value) / 86_400_000
  return days >= 1 ? `${value} (${Math.floor(days * 10) / 10} days)` : value
}
