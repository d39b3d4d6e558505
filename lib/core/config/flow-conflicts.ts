// Owns whether the flows of a configuration go together: that no two of them write into one topic
// of a cluster, and that no ring of flows copies a topic back to where it came from. Names can be
// compared when the configuration is loaded. Two patterns often cannot: such pairs are rivals, and
// are compared when a tick knows the topics (run/observe/contested-topics.ts).

import { heartbeatTopic } from './heartbeat-topic.ts'
import type { TopicPattern } from './topic-pattern.ts'
import {
  namedTopics,
  type Selector,
  selects,
  sourceTopicName,
  type TopicRules,
  targetTopicName,
} from './topic-selection.ts'

export type NamedRules = TopicRules & { readonly name: string }

/** Two flows that certainly write into one topic of their target. */
export type Contest = {
  /** The index of the later flow. */
  readonly flow: number
  readonly earlier: number
  /** An example of a topic on the target that both would write. */
  readonly targetTopic: string
}

/** True when two names of clusters stand for one and the same cluster. */
export type IsOneCluster = (one: string, other: string) => boolean

/**
 * The pairs of flows that certainly write into one topic: both name it, or one names what the other
 * one's pattern matches on the same source, or both have the same pattern and the same source.
 */
export function findContests(
  flows: readonly (NamedRules | null)[],
  isOneCluster: IsOneCluster,
): Contest[] {
  const contests: Contest[] = []
  flows.forEach((later, flow) => {
    flows.slice(0, flow).forEach((before, earlier) => {
      if (later === null || before === null || !isOneCluster(later.to, before.to)) return
      const targetTopic = contestedTopic(before, later, isOneCluster)
      if (targetTopic !== null) contests.push({ flow, earlier, targetTopic })
    })
  })
  return contests
}

function contestedTopic(
  one: NamedRules,
  other: NamedRules,
  isOneCluster: IsOneCluster,
): string | null {
  const isSameSource = isOneCluster(one.from, other.from)
  const byName = (rules: NamedRules, rival: NamedRules) =>
    namedTopics(rules)
      .filter(topic => selects(rules, topic))
      .map(topic => targetTopicName(rules, topic))
      .find(target => {
        const topic = sourceTopicName(rival, target)
        if (topic === null || !selects(rival, topic)) return false
        // A pattern may match a name that its own source does not have.
        return isSameSource || namedTopics(rival).includes(topic)
      })
  const named = byName(one, other) ?? byName(other, one)
  if (named !== undefined) return named
  if (!isSameSource || one.naming !== other.naming || one.from !== other.from) return null
  const shared = one.topics.find(
    each => each.kind === 'pattern' && has(other.topics, each) && !isNarrowed(one, other),
  )
  return shared?.kind === 'pattern' ? targetTopicName(one, `/${shared.pattern}/`) : null
}

/** True when one of the flows leaves out topics that the other one does not. */
function isNarrowed(one: TopicRules, other: TopicRules): boolean {
  const lacks = (exclude: readonly Selector[], from: readonly Selector[]) =>
    exclude.some(each => !has(from, each))
  return lacks(one.exclude, other.exclude) || lacks(other.exclude, one.exclude)
}

function has(selectors: readonly Selector[], wanted: Selector): boolean {
  return selectors.some(each =>
    each.kind === 'name'
      ? wanted.kind === 'name' && each.name === wanted.name
      : wanted.kind === 'pattern' && each.pattern === wanted.pattern,
  )
}

/** The other flows that may write into a topic of the same target as `flow`. */
export function rivalsOf(
  flow: NamedRules,
  flows: readonly NamedRules[],
  isOneCluster: IsOneCluster,
): NamedRules[] {
  return flows.filter(
    other =>
      other.name !== flow.name && isOneCluster(other.to, flow.to) && mayShareTarget(flow, other),
  )
}

/** False only where no topic of the target can be written by both flows. */
function mayShareTarget(one: TopicRules, other: TopicRules): boolean {
  if (mayShareHeartbeats(one, other) || mayShareHeartbeats(other, one)) return true
  return one.topics.some(left =>
    other.topics.some(right => {
      if (left.kind === 'name') return writes(other, targetTopicName(one, left.name))
      if (right.kind === 'name') return writes(one, targetTopicName(other, right.name))
      return beginAlike(targetTopicName(one, left.prefix), targetTopicName(other, right.prefix))
    }),
  )
}

/** A pattern may match `heartbeats`, and every name with it as its end. */
function mayShareHeartbeats(one: TopicRules, other: TopicRules): boolean {
  return one.heartbeats === true && writes(other, targetTopicName(one, heartbeatTopic))
}

function writes(rules: TopicRules, targetTopic: string): boolean {
  const topic = sourceTopicName(rules, targetTopic)
  return topic !== null && selects(rules, topic)
}

function beginAlike(left: string, right: string): boolean {
  return left.startsWith(right) || right.startsWith(left)
}

/**
 * The rings that flows with `naming: identity` form, each as the indexes of its flows, the last one
 * of the configuration first. A copy has the name of its original there, so a topic that all flows
 * of a ring select would grow by its own copies for ever. Flows that provably share no name with
 * their neighbours form no ring.
 */
export function findRings(
  flows: readonly (NamedRules | null)[],
  isOneCluster: IsOneCluster,
): (readonly number[])[] {
  return flows.flatMap((flow, index) => {
    const ring =
      flow?.naming === 'identity'
        ? ringFrom(index, flow, flows.slice(0, index), isOneCluster)
        : null
    return ring === null ? [] : [ring]
  })
}

/** A ring of `first` and flows before it; null when there is none. Looks at each flow once. */
function ringFrom(
  index: number,
  first: NamedRules,
  before: readonly (NamedRules | null)[],
  isOneCluster: IsOneCluster,
): readonly number[] | null {
  const paths: { readonly end: NamedRules; readonly path: readonly number[] }[] = [
    { end: first, path: [index] },
  ]
  const seen = new Set<number>()
  // The loop ends: each flow is appended at most once.
  for (const { end, path } of paths) {
    if (isOneCluster(end.to, first.from)) return path
    before.forEach((next, at) => {
      if (next?.naming !== 'identity' || seen.has(at) || !isOneCluster(end.to, next.from)) return
      if (!mayShareName(first, next) || !mayShareName(end, next)) return
      seen.add(at)
      paths.push({ end: next, path: [...path, at] })
    })
  }
  return null
}

/** False only where no topic has a name that both flows select. */
function mayShareName(one: TopicRules, other: TopicRules): boolean {
  return one.topics.some(left =>
    other.topics.some(right => {
      if (left.kind === 'name') return selects(one, left.name) && selects(other, left.name)
      if (right.kind === 'name') return selects(one, right.name) && selects(other, right.name)
      if (!beginAlike(left.prefix, right.prefix)) return false
      return !isExcluded(left, other.exclude) && !isExcluded(right, one.exclude)
    }),
  )
}

/** True when every name that a pattern matches is certainly excluded. */
function isExcluded(pattern: TopicPattern, exclude: readonly Selector[]): boolean {
  return exclude.some(each => {
    if (each.kind === 'name') return false
    if (each.pattern === pattern.pattern) return true
    return each.matchesAllBehindPrefix && pattern.prefix.startsWith(each.prefix)
  })
}
