// Owns which ACLs are created on the standby and which are removed, and how the withheld ones look
// for the topics that fail over. Pure. Does not own which ACLs are wanted (acl-rewrite.ts), nor the
// requests (io/admin/acl-admin.ts).
//
// Only ACLs that gapless created are ever removed: the table remembers them. One that was there
// before belongs to somebody else, also when the source has the same.

import { type Acl, aclKey, distinctAcls } from '../acl.ts'
import { type TopicRules, targetTopicName } from '../config/topic-selection.ts'

export type AclPlan = {
  /** Wanted and absent. */
  readonly create: readonly Acl[]
  /** Created by gapless, not wanted any more, and present. */
  readonly remove: readonly Acl[]
  /** Created by gapless, not wanted any more, and gone: only the table has them. */
  readonly forget: readonly Acl[]
}

export function planAcls(input: {
  readonly wanted: readonly Acl[]
  /** All ACLs of topics on the standby. */
  readonly present: readonly Acl[]
  /** Those that gapless created, by the table. */
  readonly ours: readonly Acl[]
  /** False while it is not certain that the source answered for all of them. */
  readonly mayRemove: boolean
}): AclPlan {
  const wanted = keysOf(input.wanted)
  const present = keysOf(input.present)
  const isOver = (each: Acl) => !wanted.has(aclKey(each))
  const isPresent = (each: Acl) => present.has(aclKey(each))
  const over = input.mayRemove ? distinctAcls(input.ours).filter(isOver) : []
  return {
    create: distinctAcls(input.wanted).filter(each => !isPresent(each)),
    remove: over.filter(isPresent),
    forget: over.filter(each => !isPresent(each)),
  }
}

function keysOf(acls: readonly Acl[]): ReadonlySet<string> {
  return new Set(acls.map(aclKey))
}

/**
 * The withheld ACLs of these source topics, each by the name of its standby topic: a prefix would
 * cover topics that do not fail over, too.
 */
export function withheldFor(
  withheld: readonly Acl[],
  rules: TopicRules,
  topics: readonly string[],
): Acl[] {
  const names = topics.map(each => targetTopicName(rules, each))
  return distinctAcls(
    withheld.flatMap(acl => {
      const covered = names.filter(name =>
        acl.pattern === 'LITERAL' ? acl.name === name : name.startsWith(acl.name),
      )
      return covered.map(name => ({ ...acl, pattern: 'LITERAL' as const, name }))
    }),
  )
}

/** True when an ALLOW of the list lets this principal write to the topic. */
export function allowsWriting(acls: readonly Acl[], principal: string, topic: string): boolean {
  return acls.some(acl => {
    const { permission, operation } = acl
    const isAllowed = permission === 'ALLOW' && (operation === 'WRITE' || operation === 'ALL')
    const isFor = acl.principal === principal || acl.principal === 'User:*'
    return isAllowed && isFor && acl.host === '*' && covers(acl, topic)
  })
}

function covers({ pattern, name }: Acl, topic: string): boolean {
  if (pattern === 'PREFIXED') return topic.startsWith(name)
  return name === '*' || name === topic
}
