// Owns the ACLs that let applications write to standby topics: which are withheld, granting them in
// a fail-over and withholding them again before a fail-back. All of it comes from the table and the
// standby, because the source may be gone by then. Every function may be stopped anywhere and
// called again. Does not own when a flow fails over.

import { type Acl, aclKey } from '../../core/acl.ts'
import type { FlowConfig } from '../../core/config/config.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import { aclsOf } from '../../core/row/acl-row.ts'
import { withheldFor } from '../../core/sync/acl-plan.ts'
import type { AclAdmin } from '../../io/admin/acl-admin.ts'
import type { Clock } from '../../io/clock.ts'
import type { AclStore } from '../../io/sync/acl-store.ts'
import { changedBy, type RefusedAcl } from './sync-acls.ts'

export type WithheldDeps = {
  readonly targetAcls: AclAdmin
  readonly acls: AclStore
  readonly clock: Pick<Clock, 'nowMs'>
}

export type GrantedAcls = {
  /** On the standby now by gapless. */
  readonly granted: readonly Acl[]
  /** Were there before, made by somebody else: they stay when the others are withheld again. */
  readonly present: readonly Acl[]
  readonly refused: readonly RefusedAcl[]
}

/**
 * The withheld ACLs of these source topics, each by the name of its standby topic. Empty where the
 * flow does not have `sync.acls: copy`, because no tick stored any.
 */
export async function withheldAcls(
  { acls }: Pick<WithheldDeps, 'acls'>,
  flow: FlowConfig,
  topics: readonly string[],
): Promise<Acl[]> {
  return withheldFor(aclsOf(await acls.list(flow.name), 'aclWithheld'), flow, topics)
}

/**
 * Lets the applications of the source write to the standby topics. Throws `BrokerFailure` when the
 * standby does not answer.
 */
export async function grantWithheld(
  deps: WithheldDeps,
  flow: FlowConfig,
  topics: readonly string[],
): Promise<GrantedAcls> {
  const { targetAcls, acls, clock } = deps
  const rows = await acls.list(flow.name)
  const wanted = withheldFor(aclsOf(rows, 'aclWithheld'), flow, topics)
  if (wanted.length === 0) return { granted: [], present: [], refused: [] }
  const listed = await targetAcls.list()
  // Without an authorizer everybody may write already.
  if (listed.kind === 'disabled') return { granted: [], present: [], refused: [] }
  // One that somebody else made would be taken for ours, and removed with them.
  if (listed.kind === 'refused') {
    const reason = `${flow.to} does not list its ACLs: ${listed.errorName}; it takes Describe on the cluster`
    return { granted: [], present: [], refused: wanted.map(acl => ({ acl, reason })) }
  }
  const there = new Set(listed.topics.map(aclKey))
  const ours = new Set(aclsOf(rows, 'aclGranted').map(aclKey))
  const foreign = wanted.filter(each => there.has(aclKey(each)) && !ours.has(aclKey(each)))
  const others = new Set(foreign.map(aclKey))
  const toGrant = wanted.filter(each => !others.has(aclKey(each)))
  // The table first: what is granted and not remembered would never be withheld again.
  await acls.add(flow.name, 'aclGranted', toGrant, clock.nowMs())
  const changed = changedBy(await targetAcls.create(toGrant), 'Alter')
  return { granted: changed.done, present: foreign, refused: changed.refused }
}

/**
 * Takes away what `grantWithheld` granted for these topics. Throws `BrokerFailure` when the standby
 * does not answer.
 */
export async function withholdAgain(
  deps: WithheldDeps,
  flow: FlowConfig,
  topics: readonly string[],
): Promise<{ readonly withheld: readonly Acl[]; readonly refused: readonly RefusedAcl[] }> {
  const { targetAcls, acls, clock } = deps
  const names = new Set(topics.map(each => targetTopicName(flow, each)))
  const granted = aclsOf(await acls.list(flow.name), 'aclGranted')
  const over = granted.filter(each => names.has(each.name))
  const changed = changedBy(await targetAcls.remove(over), 'Alter')
  await acls.remove(flow.name, 'aclGranted', changed.done, clock.nowMs())
  return { withheld: changed.done, refused: changed.refused }
}
