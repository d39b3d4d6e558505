// Owns a flow of gapless.yml as it follows from the connectors of MirrorMaker 2. Only what differs
// from a default of gapless is written, and what a reader looks for: topics, naming, groups. Does
// not own clusters (cluster-draft.ts), nor the text (gapless-yml.ts).

import { compilePattern } from '../config/topic-pattern.ts'
import { topicConfigs } from '../standby/topic-configs.ts'
import { literal } from './cluster-draft.ts'
import { comment, decide, type Ledger } from './ledger.ts'
import {
  booleanOf,
  listOf,
  MirrorError,
  type MirrorFlow,
  type Property,
  type Settings,
} from './mirror.ts'
import { exclusionsOf, selectorsOf } from './selectors.ts'

export type FlowDraft = Readonly<Record<string, unknown>>

/** Classes that name standby topics, by what they do. */
const policies: Readonly<Record<string, 'prefix' | 'identity'>> = {
  DefaultReplicationPolicy: 'prefix',
  IdentityReplicationPolicy: 'identity',
  // A sample of AWS for MSK: names stay as they are.
  CustomMM2ReplicationPolicy: 'identity',
}

/** DefaultTopicFilter of Kafka 4.3, without `__.*`, which no pattern of gapless matches. */
const excludedByDefault = ['/.*\\.replica/']

/** DefaultConfigPropertyFilter of Kafka 4.3, where gapless could do otherwise. */
const excludedConfigByDefault = 'unclean.leader.election.enable'

/** @param index the place of the flow in the list of flows */
export function draftFlow(
  flow: MirrorFlow,
  index: number,
  name: string,
  ledger: Ledger,
): FlowDraft {
  const at = `flows.${index}`
  const { settings } = flow
  const naming = namingOf(flow, `flow ${name}`, ledger)
  const { topics, exclude } = topicsOf(flow, naming, `${at}.topics`, ledger)
  comment(ledger, `${at}.exclude`, "MirrorMaker 2's own topics stay where they are.")
  comment(
    ledger,
    `${at}.mode`,
    'As MirrorMaker 2: copies all the time. batch copies once a minute, and idles for next to nothing.',
  )
  noteClasses(flow, `flow ${name}`, ledger)
  return {
    name,
    from: flow.source,
    to: flow.target,
    topics: topics.map(literal),
    exclude: [...new Set([...internalTopics(settings, naming), ...exclude])].map(literal),
    naming,
    ...(startsAtEnd(settings) ? { startFrom: 'log-end' } : {}),
    mode: 'continuous',
    ...groupsOf(flow, at, ledger),
    ...syncOf(flow, at, ledger),
  }
}

function namingOf(
  { settings, source }: MirrorFlow,
  about: string,
  ledger: Ledger,
): 'prefix' | 'identity' {
  const policy = settings.get('replication.policy.class')
  const name = simpleName(policy) ?? 'DefaultReplicationPolicy'
  const naming = policies[name]
  if (naming === undefined) {
    decide(
      ledger,
      about,
      `replication.policy.class: your class ${name} named the standby topics; prefix (${source}.orders) was written, identity keeps names`,
    )
    return 'prefix'
  }
  const separator = settings.get('replication.policy.separator')?.value ?? '.'
  if (naming === 'prefix' && separator !== '.') {
    decide(
      ledger,
      about,
      `replication.policy.separator: standby topics are called ${source}.orders now, not ${source}${separator}orders, also for consumers there`,
    )
  }
  return naming
}

function simpleName(property: Property | undefined): string | null {
  return property?.value.trim().split('.').at(-1) ?? null
}

function topicsOf(
  { settings, target }: MirrorFlow,
  naming: 'prefix' | 'identity',
  path: string,
  ledger: Ledger,
): { topics: readonly string[]; exclude: readonly string[] } {
  const found = settings.get('topics')
  const excluded = settings.get('topics.exclude') ?? settings.get('topics.blacklist')
  const selected = found === undefined ? { include: ['/.*/'], exclude: [] } : selectorsOf(found)
  // Also where their names are given, MirrorMaker 2 copies neither internal topics nor a copy back
  // to where it came from. gapless copies what is named.
  const separator = settings.get('replication.policy.separator')?.value ?? '.'
  const isBack = (each: string) => naming === 'prefix' && each.startsWith(`${target}${separator}`)
  const topics = selected.include.filter(each => !each.startsWith('__') && !isBack(each))
  if (found !== undefined && topics.length === 0) {
    throw new MirrorError(
      `${found.origin}: ${found.name} selects no topic; expected names or patterns`,
    )
  }
  if (topics.some(each => /^\/[\w.-]*[^\\]\.\w[\w.-]*\/$/.test(each))) {
    comment(
      ledger,
      path,
      'A dot between slashes stands for any character, as in MirrorMaker 2; a name alone needs no slashes.',
    )
  }
  const own = excluded === undefined ? excludedByDefault : exclusionsOf(excluded)
  return { topics, exclude: [...own.filter(each => !/^\/?__/.test(each)), ...selected.exclude] }
}

/** Topics that MirrorMaker 2 keeps for itself, on either cluster. */
function internalTopics(settings: Settings, naming: 'prefix' | 'identity'): string[] {
  const separator = settings.get('replication.policy.separator')?.value ?? '.'
  const isUsed = booleanOf(
    settings.get('replication.policy.internal.topic.separator.enabled'),
    true,
  )
  const dot = isUsed ? separator.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : '\\.'
  const names = [`/mm2.*${dot}internal/`, `/.*${dot}checkpoints${dot}internal/`]
  // The topics of Connect's worker in dedicated mode have dots in any case.
  const worker = dot === '\\.' ? [] : ['/mm2.*\\.internal/']
  return naming === 'identity' || dot !== '\\.' ? [...names, ...worker] : names
}

function startsAtEnd(settings: Settings): boolean {
  const reset =
    settings.get('source.consumer.auto.offset.reset') ?? settings.get('consumer.auto.offset.reset')
  return reset?.value.trim().toLowerCase() === 'latest'
}

function groupsOf({ checkpoint }: MirrorFlow, at: string, ledger: Ledger): FlowDraft {
  if (checkpoint === null || !booleanOf(checkpoint.get('emit.checkpoints.enabled'), true)) {
    comment(
      ledger,
      `${at}.groups`,
      'No MirrorCheckpointConnector carried offsets of groups. Without this line, gapless does.',
    )
    return { groups: [] }
  }
  if (!booleanOf(checkpoint.get('sync.group.offsets.enabled'), false)) {
    comment(
      ledger,
      `${at}.groups`,
      'MirrorMaker 2 only emitted checkpoints. gapless commits the translated offsets, where nobody else uses the group; [] ends that.',
    )
  }
  const found = checkpoint.get('groups')
  const excluded = checkpoint.get('groups.exclude') ?? checkpoint.get('groups.blacklist')
  const selected = found === undefined ? { include: ['/.*/'], exclude: [] } : selectorsOf(found)
  const own = excluded === undefined ? null : exclusionsOf(excluded)
  const exclude = [...(own ?? groupsExcludedByDefault), ...selected.exclude]
  return {
    groups: selected.include.map(literal),
    ...(own === null && selected.exclude.length === 0
      ? {}
      : { excludeGroups: exclude.map(literal) }),
  }
}

/** The default of gapless, too; written only where something is added to it. */
const groupsExcludedByDefault = ['/console-consumer-.*/', '/connect-.*/', '/__.*/']

function syncOf(
  { settings, heartbeats, source }: MirrorFlow,
  at: string,
  ledger: Ledger,
): FlowDraft {
  const hasConfigs = booleanOf(settings.get('sync.topic.configs.enabled'), true)
  const hasAcls = booleanOf(settings.get('sync.topic.acls.enabled'), true)
  if (hasAcls) {
    comment(
      ledger,
      `${at}.sync.acls`,
      'Needs Alter on the standby cluster (docs/ACLS.md). The right to write is withheld until a fail-over.',
    )
  }
  if (heartbeats) {
    comment(
      ledger,
      `${at}.sync.heartbeats`,
      `Written to the topic heartbeats of ${source}, once a minute.`,
    )
  }
  const sync = {
    ...(hasConfigs ? configRules(settings) : { configs: 'off' }),
    ...(hasAcls ? { acls: 'copy' } : {}),
    ...(heartbeats ? { heartbeats: 'mirror-maker' } : {}),
  }
  return Object.keys(sync).length === 0 ? {} : { sync }
}

/** Patterns are written as the names of Kafka's topic configs that they match. */
function configRules(settings: Settings): FlowDraft {
  const defaults = settings.get('use.defaults.from')?.value.trim().toLowerCase()
  const useDefaults = defaults === 'target' ? { useDefaults: 'standby' } : {}
  const found =
    settings.get('config.properties.exclude') ?? settings.get('config.properties.blacklist')
  if (found === undefined) return useDefaults
  const elements = listOf(found.value)
  const matches = (config: string) =>
    elements.some(each => each === config || compilePattern(each)?.matches(config) === true)
  const excludeConfigs = Object.entries(topicConfigs).flatMap(([config, { kind }]) =>
    kind !== 'never' && kind !== 'always' && matches(config) ? [config] : [],
  )
  const includeConfigs = matches(excludedConfigByDefault) ? [] : [excludedConfigByDefault]
  return {
    ...(includeConfigs.length === 0 ? {} : { includeConfigs }),
    ...(excludeConfigs.length === 0 ? {} : { excludeConfigs }),
    ...useDefaults,
  }
}

/** Classes and transforms of the user decided something that gapless cannot know. */
function noteClasses({ settings, checkpoint }: MirrorFlow, about: string, ledger: Ledger): void {
  const filters = [
    ['topic.filter.class', 'DefaultTopicFilter', 'topics; write them under topics and exclude'],
    [
      'group.filter.class',
      'DefaultGroupFilter',
      'groups; write them under groups and excludeGroups',
    ],
    [
      'config.property.filter.class',
      'DefaultConfigPropertyFilter',
      'topic configs; write them under sync',
    ],
  ] as const
  for (const [key, usual, what] of filters) {
    const name = simpleName(settings.get(key) ?? checkpoint?.get(key))
    if (name !== null && name !== usual) {
      decide(ledger, about, `${key}: your class ${name} selected ${what}`)
    }
  }
  const transforms = settings.get('transforms')
  if (transforms !== undefined && listOf(transforms.value).length > 0) {
    decide(
      ledger,
      about,
      'transforms: they changed records on their way, and gapless copies them as they are',
    )
  }
}
