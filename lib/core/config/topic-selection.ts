// Owns which topics of the source belong to a flow, and their names on the target. Does not own how
// a pattern is matched (topic-pattern.ts), nor whether flows go together (flow-conflicts.ts).

import { leftOutNamesMax } from './defaults.ts'
import { heartbeatPath } from './heartbeat-topic.ts'
import { compilePattern, type TopicPattern } from './topic-pattern.ts'

export type Selector = { readonly kind: 'name'; readonly name: string } | TopicPattern

/** Topic.MAX_NAME_LENGTH of Kafka. */
const TOPIC_CHARACTERS_MAX = 249

export type Naming = 'prefix' | 'identity'

export type TopicRules = {
  readonly from: string
  readonly to: string
  readonly topics: readonly Selector[]
  readonly exclude: readonly Selector[]
  readonly naming: Naming
  /** The names of all clusters of the configuration, each a possible prefix of a topic. */
  readonly clusters?: readonly string[]
  /** Target topics by source topic, where they do not follow from `naming`: on the way back. */
  readonly targetNames?: Readonly<Record<string, string>>
  /** True: topics of heartbeats are replicated, too, under the names of MirrorMaker 2. */
  readonly heartbeats?: boolean
}

/**
 * Parses a selector: a pattern between slashes, otherwise a name. Null when the pattern is no
 * regular expression that is matched in linear time.
 */
export function parseSelector(text: string): Selector | null {
  if (!text.startsWith('/')) return { kind: 'name', name: text }
  if (text.length < 3 || !text.endsWith('/')) return null
  return compilePattern(text.slice(1, -1))
}

/**
 * True when the flow replicates this source topic. A topic that the flow names is replicated
 * whatever its name looks like; a pattern passes over internal topics and over copies.
 */
export function selects(rules: TopicRules, topic: string): boolean {
  if (rules.exclude.some(selector => matches(selector, topic))) return false
  if (isNamed(rules, topic) || carriesHeartbeats(rules, topic)) return true
  return isMatched(rules, topic) && !isCopy(rules, topic)
}

/**
 * True for the topics of heartbeats that a flow with `sync.heartbeats` copies on, also those that
 * came from further clusters. A name that holds one of its own clusters came full circle.
 */
export function carriesHeartbeats(rules: TopicRules, topic: string): boolean {
  if (rules.heartbeats !== true) return false
  const path = heartbeatPath(topic, rules.clusters ?? [rules.from, rules.to])
  return path !== null && !path.includes(rules.to) && !path.includes(rules.from)
}

/**
 * True when only the rule about copies keeps this source topic from being replicated: a pattern
 * matches the topic, and its name has the prefix of a cluster of this configuration.
 */
export function isLeftOut(rules: TopicRules, topic: string): boolean {
  if (rules.exclude.some(selector => matches(selector, topic))) return false
  return isMatched(rules, topic) && isCopy(rules, topic) && !selects(rules, topic)
}

/** The topics that a flow names one by one: an operator expects them to exist. */
export function namedTopics(rules: TopicRules): string[] {
  return rules.topics.flatMap(selector => (selector.kind === 'name' ? [selector.name] : []))
}

/** As in MirrorMaker 2, heartbeats have the prefix also where other topics keep their names. */
export function targetTopicName(rules: TopicRules, topic: string): string {
  const given = rules.targetNames?.[topic]
  if (given !== undefined) return given
  const isPrefixed = rules.naming === 'prefix' || carriesHeartbeats(rules, topic)
  return isPrefixed ? `${rules.from}.${topic}` : topic
}

/** What Kafka says about a name that it does not allow (Topic.validate). */
export function invalidNameText(topic: string): string {
  const length = `${topic.length} characters`
  return topic.length > TOPIC_CHARACTERS_MAX
    ? `its name has ${length}, and Kafka takes ${TOPIC_CHARACTERS_MAX}; exclude the topic, or rename it`
    : `Kafka does not take its name; a name has 1 to ${TOPIC_CHARACTERS_MAX} of a-z A-Z 0-9 . _ -`
}

/** The source topic that `targetTopicName` gives this name; null when no topic has it. */
export function sourceTopicName(rules: TopicRules, targetTopic: string): string | null {
  const given = Object.entries(rules.targetNames ?? {}).find(([, name]) => name === targetTopic)
  if (given !== undefined) return given[0]
  const prefix = `${rules.from}.`
  const isPrefixed = targetTopic.startsWith(prefix) && targetTopic.length > prefix.length
  const behind = isPrefixed ? targetTopic.slice(prefix.length) : null
  if (rules.naming === 'prefix') return behind
  if (behind !== null && carriesHeartbeats(rules, behind)) return behind
  // Such a topic of the source has another name on the target.
  return carriesHeartbeats(rules, targetTopic) ? null : targetTopic
}

/** The flow without these topics, or with these alone. */
export function withoutTopics<R extends TopicRules>(rules: R, topics: readonly string[]): R {
  return { ...rules, exclude: [...rules.exclude, ...namesOf(topics)] }
}

export function withTopicsAlone<R extends TopicRules>(rules: R, topics: readonly string[]): R {
  const kept = topics.filter(each => selects(rules, each))
  return { ...rules, topics: namesOf(kept), exclude: [] }
}

function namesOf(topics: readonly string[]): Selector[] {
  return topics.map(name => ({ kind: 'name', name }))
}

/** One sentence about the topics that are left out; none where there are none. */
export function leftOutText(topics: readonly string[]): string[] {
  if (topics.length === 0) return []
  const more = topics.length - leftOutNamesMax
  const names = [...topics.slice(0, leftOutNamesMax), ...(more > 0 ? [`and ${more} more`] : [])]
  return [
    `left out ${topics.length} topics that a pattern matches, because a cluster's prefix in their names marks ` +
      `them as copies: ${names.join(', ')}; to copy one, name it in topics`,
  ]
}

export function matches(selector: Selector, topic: string): boolean {
  if (selector.kind === 'name') return selector.name === topic
  // Internal topics hold the state of their own cluster, so a pattern never matches them.
  return !topic.startsWith('__') && selector.matches(topic)
}

function isNamed(rules: TopicRules, topic: string): boolean {
  return rules.topics.some(each => each.kind === 'name' && each.name === topic)
}

function isMatched(rules: TopicRules, topic: string): boolean {
  return rules.topics.some(each => each.kind === 'pattern' && matches(each, topic))
}

/**
 * True for a topic that a flow with prefixes copied already, by the prefix of any cluster at any
 * place of the chain before its own name. Copying copies on would never end where the flows form a
 * ring: in `c.b.a.orders` nothing tells whether the next cluster had the topic before.
 */
function isCopy(rules: TopicRules, topic: string): boolean {
  if (rules.naming !== 'prefix') return false
  const clusters = rules.clusters ?? [rules.from, rules.to]
  return clusters.some(each => topic.startsWith(`${each}.`) || topic.includes(`.${each}.`))
}
