// Owns which consumer groups belong to a flow, which of a group's topics travel under their own
// names, and which kinds of groups cannot be synced. Pure.

import { leftOutNamesMax } from '../config/defaults.ts'
import {
  type Selector,
  selects,
  type TopicRules,
  targetTopicName,
} from '../config/topic-selection.ts'

export type GroupRules = {
  readonly groups: readonly Selector[]
  readonly excludeGroups: readonly Selector[]
}

export function selectsGroup(rules: GroupRules, group: string): boolean {
  if (rules.excludeGroups.some(each => matchesGroup(each, group))) return false
  return rules.groups.some(each => matchesGroup(each, group))
}

/** The groups that a flow names one by one: they are asked for although no listing has them. */
export function namedGroups(rules: GroupRules): string[] {
  const names = rules.groups.flatMap(each => (each.kind === 'name' ? [each.name] : []))
  return names.filter(each => selectsGroup(rules, each))
}

/** A group id has no reserved names, so a pattern matches every one. */
function matchesGroup(selector: Selector, group: string): boolean {
  return selector.kind === 'name' ? selector.name === group : selector.matches(group)
}

/** Why a group of this type has no offset that could be committed; null where it has one. */
export function unsyncedTypeText(type: string): string | null {
  if (type !== 'share') return null
  return (
    'a share group has no committed offsets: it acknowledges record by record, which no request reads. ' +
    'On the standby it begins where share.auto.offset.reset says'
  )
}

/** `<application.id>-...-changelog` and `-repartition` (StreamsBuilder, InternalTopicManager). */
const internalTopic = /-(?:changelog|repartition)$/

/**
 * What to say of a Kafka Streams application, which is its group, whose internal topics are not on
 * the standby under their own names; null where all are, or it has none. `topics`: of the source.
 */
export function internalTopicsText(
  rules: TopicRules,
  group: string,
  topics: readonly string[],
): string | null {
  const internal = topics.filter(each => each.startsWith(`${group}-`) && internalTopic.test(each))
  const staying = internal.filter(
    each => !selects(rules, each) || targetTopicName(rules, each) !== each,
  )
  if (staying.length === 0) return null
  const more = staying.length - leftOutNamesMax
  const names = [...staying.slice(0, leftOutNamesMax), ...(more > 0 ? [`and ${more} more`] : [])]
  return (
    `the state of this Kafka Streams application is rebuilt from nothing there: ${names.join(', ')} ` +
    'does not travel under its own name (naming: identity, and a selector for it)'
  )
}
