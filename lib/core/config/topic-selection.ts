// Owns which topics of the source belong to a flow, and their names on the target.

export type Selector =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'pattern'; readonly pattern: RegExp }

export type Naming = 'prefix' | 'identity'

export type TopicRules = {
  readonly from: string
  readonly to: string
  readonly topics: readonly Selector[]
  readonly exclude: readonly Selector[]
  readonly naming: Naming
}

/**
 * Parses a selector: a pattern between slashes, otherwise a name. Null when the pattern is no
 * regular expression.
 */
export function parseSelector(text: string): Selector | null {
  if (!text.startsWith('/')) return { kind: 'name', name: text }
  if (text.length < 3 || !text.endsWith('/')) return null
  try {
    // Anchored: a pattern matches the whole name, as in MirrorMaker 2 and Kafka's own ACL tools.
    return { kind: 'pattern', pattern: new RegExp(`^(?:${text.slice(1, -1)})$`) }
  } catch {
    // A regular expression that does not compile is a result here and not a failure: the caller
    // reports it.
    return null
  }
}

/** True when the flow replicates this source topic. */
export function selects(rules: TopicRules, topic: string): boolean {
  return (
    rules.topics.some(selector => matches(selector, topic)) &&
    !rules.exclude.some(selector => matches(selector, topic)) &&
    !isEchoOf(rules, topic)
  )
}

/** The topics that a flow names one by one: an operator expects them to exist. */
export function namedTopics(rules: TopicRules): string[] {
  return rules.topics.flatMap(selector => (selector.kind === 'name' ? [selector.name] : []))
}

export function targetTopicName(rules: TopicRules, topic: string): string {
  return rules.naming === 'prefix' ? `${rules.from}.${topic}` : topic
}

function matches(selector: Selector, topic: string): boolean {
  if (selector.kind === 'name') return selector.name === topic
  // Internal topics hold the state of their own cluster, so a pattern never matches them.
  return !topic.startsWith('__') && selector.pattern.test(topic)
}

/**
 * True for a topic that a flow in the other direction copied here from the target, by its prefix.
 * Copying the topic back would never end.
 */
function isEchoOf(rules: TopicRules, topic: string): boolean {
  return rules.naming === 'prefix' && topic.startsWith(`${rules.to}.`)
}
