// Owns finding out that an ACL would take the right to write from gapless itself. A cluster with
// allow.everyone.if.no.acl.found=true lets everyone use a topic until the first ACL names it, and
// from then on only whom an ACL allows. Kafka tells no client that setting, so the first ACL is
// created for one topic alone, and removed at once where the right is lost. Does not own the others
// (sync-acls.ts).

import { type Acl, aclText } from '../../core/acl.ts'
import { aclLookMs, aclLooksMax } from '../../core/config/defaults.ts'
import { allowsWriting } from '../../core/sync/acl-plan.ts'
import type { AclAdmin } from '../../io/admin/acl-admin.ts'
import type { Clock } from '../../io/clock.ts'

export type FirstAclDeps = {
  readonly targetAcls: AclAdmin
  readonly clock: Pick<Clock, 'wait'>
}

/**
 * Null: the ACLs may be created. A sentence: they may not, and nothing of them is there. `topics`
 * are standby topics that exist.
 */
export async function refusalToGuard(
  { targetAcls, clock }: FirstAclDeps,
  input: {
    readonly create: readonly Acl[]
    readonly present: readonly Acl[]
    readonly topics: readonly string[]
    readonly ownPrincipal: string | null
  },
): Promise<string | null> {
  const { create, present, topics, ownPrincipal } = input
  const first = create.flatMap(acl => {
    const topic = topics.find(each => {
      const isCovered = acl.pattern === 'LITERAL' ? acl.name === each : each.startsWith(acl.name)
      return isCovered && !mayWriteByAcl(present, ownPrincipal, each)
    })
    return topic === undefined ? [] : [{ acl, topic }]
  })[0]
  // Every topic that they cover is one that an ACL lets gapless write to.
  if (first === undefined) return null
  const { acl, topic } = first
  // A right that was missing before is not lost by this ACL.
  if ((await targetAcls.mayWrite(topic, [])) !== true) return notSeen(acl, topic)
  const [created] = await targetAcls.create([acl])
  // The refusal is told where all of them are created.
  if (created?.errorName !== 'NONE') return null
  for (let look = 0; look < aclLooksMax; look += 1) {
    const may = await targetAcls.mayWrite(topic, [acl])
    if (may === true) return null
    if (may === false) break
    await clock.wait(aclLookMs)
  }
  await targetAcls.remove([acl])
  return (
    `${aclText(acl)} took from gapless the right to write to ${topic}, so it was removed at once: until the ` +
    'first ACL, the cluster allows everything (allow.everyone.if.no.acl.found). Give gapless its ACLs ' +
    'there first (docs/SECURITY.md)'
  )
}

function notSeen(acl: Acl, topic: string): string {
  return (
    `${aclText(acl)} is not created: the cluster does not say that gapless may write to ${topic}, so it ` +
    'is not known whether this ACL would keep it from writing. Give gapless its ACLs there first ' +
    '(docs/SECURITY.md)'
  )
}

function mayWriteByAcl(present: readonly Acl[], own: string | null, topic: string): boolean {
  return own !== null && allowsWriting(present, own, topic)
}
