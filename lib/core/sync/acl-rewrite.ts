// Owns what becomes of the ACLs of the source on the standby: which resource they are about there,
// and which of them wait until a fail-over. Pure. Does not own what is created and removed
// (acl-plan.ts), nor the requests (io/admin/acl-admin.ts).
//
// The right to write is withheld: nothing else keeps applications from writing to a standby topic
// (Kafka has no read-only topics). A denial is withheld where it could hit gapless itself: a denial
// has no exception, and Kafka does not tell a client which principal it is.

import { type Acl, type AclResource, distinctAcls, topicOperations } from '../acl.ts'
import { selects, type TopicRules, targetTopicName } from '../config/topic-selection.ts'

/** An ACL of the source that is not on the standby, and why. */
export type LeftAcl = { readonly acl: Acl; readonly reason: string }

export type FollowingAcls = {
  /** To be on the standby now. */
  readonly copied: readonly Acl[]
  /** To be on the standby from a fail-over on. */
  readonly withheld: readonly Acl[]
  /** Concern topics of the flow, and are left to a person. */
  readonly left: readonly LeftAcl[]
}

export type AclContext = {
  readonly rules: TopicRules
  /** The topics of the source that the flow selects. */
  readonly topics: readonly string[]
  /** The principal of gapless on the standby by its configuration; null: it is not known. */
  readonly ownPrincipal: string | null
}

/** `acls`: all ACLs of topics on the source. */
export function followingAcls(acls: readonly Acl[], context: AclContext): FollowingAcls {
  const copied: Acl[] = []
  const withheld: Acl[] = []
  const left: LeftAcl[] = []
  for (const acl of acls) {
    const rewritten = rewrittenResource(acl, context)
    if (rewritten === null) continue
    if ('reason' in rewritten) {
      left.push({ acl, reason: rewritten.reason })
      continue
    }
    const there = partsOf(acl).flatMap(part =>
      rewritten.resources.map(each => ({ ...part, ...each })),
    )
    const [writing, others] = [there.filter(isWrite), there.filter(each => !isWrite(each))]
    withheld.push(...writing)
    if (others.length > 0 && mayHitUs(acl, context)) left.push({ acl, reason: hitsUs(context) })
    else copied.push(...others)
  }
  return { copied: distinctAcls(copied), withheld: distinctAcls(withheld), left }
}

/** ALL as its single operations, so that one of them can be withheld. */
function partsOf(acl: Acl): Acl[] {
  if (acl.operation !== 'ALL') return [acl]
  return topicOperations.map(operation => ({ ...acl, operation }))
}

const isWrite = ({ operation }: Acl) => operation === 'WRITE'

function mayHitUs({ permission, principal }: Acl, { ownPrincipal }: AclContext): boolean {
  if (permission === 'ALLOW') return false
  return ownPrincipal === null || principal === ownPrincipal || principal === 'User:*'
}

function hitsUs({ ownPrincipal }: AclContext): string {
  const who = ownPrincipal === null ? 'whose principal there is not known' : ownPrincipal
  return `it could deny gapless (${who}) what it needs to copy; until it is set by hand, other ACLs allow what it denies`
}

type Rewritten = { readonly resources: readonly AclResource[] } | { readonly reason: string }

/** Null: it concerns no topic of the flow. */
function rewrittenResource(acl: Acl, context: AclContext): Rewritten | null {
  const { rules } = context
  if (acl.pattern === 'LITERAL' && acl.name !== '*') {
    if (!selects(rules, acl.name)) return null
    return { resources: [{ pattern: 'LITERAL', name: targetTopicName(rules, acl.name) }] }
  }
  const prefix = acl.pattern === 'LITERAL' ? '' : acl.name
  return rules.naming === 'prefix'
    ? withPrefix(prefix, context)
    : withIdentity(acl, prefix, context)
}

/**
 * The copies of the source's topics have names of their own, so the prefix behind that of the
 * cluster covers those copies and nothing else, also copies by other flows from the same source:
 * whoever may read the topic may read its copy.
 */
function withPrefix(prefix: string, { rules, topics }: AclContext): Rewritten | null {
  if (!concerns(rules, topics, prefix)) return null
  const name = `${rules.from}.${prefix}`
  const other = (rules.clusters ?? []).find(each => {
    const copies = `${each}.`
    return each !== rules.from && (copies.startsWith(name) || name.startsWith(copies))
  })
  if (other === undefined) return { resources: [{ pattern: 'PREFIXED', name }] }
  return { reason: `the prefix ${name} would cover copies of cluster ${other}, too` }
}

/**
 * Other topics of the standby have the same names, so only topics that the flow selects are
 * covered: all that begin so, or each one by its name.
 */
function withIdentity(acl: Acl, prefix: string, { rules, topics }: AclContext): Rewritten | null {
  if (!concerns(rules, topics, prefix)) return null
  if (acl.pattern === 'LITERAL') {
    return { reason: 'on the standby it would cover topics that are no copies' }
  }
  const isWhole =
    rules.exclude.length === 0 &&
    rules.topics.some(each => {
      if (each.kind === 'name' || !each.matchesAllBehindPrefix) return false
      return each.prefix !== '' && prefix.startsWith(each.prefix)
    })
  if (isWhole) return { resources: [{ pattern: 'PREFIXED', name: prefix }] }
  const names = topics.filter(each => each.startsWith(prefix))
  return { resources: names.map(name => ({ pattern: 'LITERAL', name })) }
}

/** True when the flow selects a topic that begins so, or may select one that is created later. */
function concerns({ topics }: TopicRules, existing: readonly string[], prefix: string): boolean {
  if (existing.some(each => each.startsWith(prefix))) return true
  return topics.some(each => {
    if (each.kind === 'name') return each.name.startsWith(prefix)
    return each.prefix.startsWith(prefix) || prefix.startsWith(each.prefix)
  })
}
