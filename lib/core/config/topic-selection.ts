// Owns which topics of the source belong to a flow and what they are called on the target.

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
 * A selector from its text: a pattern between slashes, else a name. Null
 * where the pattern is no regex.
 */
export function parseSelector(text: string): Selector | null {
  if (!text.startsWith('/')) return { kind: 'name', name: text }
  if (text.length < 3 || !text.endsWith('/')) return null
  try {
    // Anchored: a pattern describes the whole name, as in MirrorMaker 2 and Kafka's own ACL tools.
    return { kind: 'pattern', pattern: new RegExp(`^(?:${text.slice(1, -1)})$`) }
  } catch {
    // A regular expression that does not compile is an answer here, not a
    // failure: the caller names it.
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

/** The names a flow lists one by one: an operator expects these to exist. */
export function namedTopics(rules: TopicRules): string[] {
  return rules.topics.flatMap(selector => (selector.kind === 'name' ? [selector.name] : []))
}

export function targetTopicName(rules: TopicRules, topic: string): string {
  return rules.naming === 'prefix' ? `${rules.from}.${topic}` : topic
}

function matches(selector: Selector, topic: string): boolean {
  if (selector.kind === 'name') return selector.name === topic
  // Kafka's internal topics describe their own cluster; a pattern never means them.
  return !topic.startsWith('__') && selector.pattern.test(topic)
}

/**
 * A topic that came from the target by a prefixing flow the other way must not travel in circles.
 */
function isEchoOf(rules: TopicRules, topic: string): boolean {
  return rules.naming === 'prefix' && topic.startsWith(`${rules.to}.`)
}
