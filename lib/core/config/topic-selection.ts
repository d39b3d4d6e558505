// Owns which topics of the source belong to a flow, and their names on the target. Does not own how
// a pattern is matched (topic-pattern.ts), nor whether flows go together (flow-conflicts.ts).

import { leftOutNamesMax } from './defaults.ts'
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
  /**
   * True for the flow of a fail-back: `naming` is that of the flow it belongs to, whose copies it
   * copies back under their first names.
   */
  readonly isBack?: true
  /** The names of all clusters of the configuration, each a possible prefix of a topic. */
  readonly clusters?: readonly string[]
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
  if (isNamed(rules, topic)) return true
  return isMatched(rules, topic) && !isCopy(rules, topic)
}

/**
 * True when only the rule about copies keeps this source topic from being replicated: a pattern
 * matches the topic, and its name has the prefix of a cluster of this configuration.
 */
export function isLeftOut(rules: TopicRules, topic: string): boolean {
  if (rules.exclude.some(selector => matches(selector, topic))) return false
  return !isNamed(rules, topic) && isMatched(rules, topic) && isCopy(rules, topic)
}

/** The topics that a flow names one by one: an operator expects them to exist. */
export function namedTopics(rules: TopicRules): string[] {
  return rules.topics.flatMap(selector => (selector.kind === 'name' ? [selector.name] : []))
}

export function targetTopicName(rules: TopicRules, topic: string): string {
  if (rules.isBack) return sourceTopicName({ ...forth(rules), from: rules.to }, topic) ?? topic
  return rules.naming === 'prefix' ? `${rules.from}.${topic}` : topic
}

function forth({ isBack, ...rules }: TopicRules): TopicRules {
  return rules
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
  if (rules.isBack) return targetTopicName({ ...forth(rules), from: rules.to }, targetTopic)
  if (rules.naming === 'identity') return targetTopic
  const prefix = `${rules.from}.`
  return targetTopic.startsWith(prefix) && targetTopic.length > prefix.length
    ? targetTopic.slice(prefix.length)
    : null
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
