// Owns the right of applications to write to the standby, where gapless withholds it (sync.acls:
// copy): it is granted at the end of a fail-over, and withheld again before a fail-back ends. A
// right that the standby refuses to change stops the command, because applications would find out
// otherwise. Does not own which ACLs these are (run/follow/withheld-acls.ts).

import { aclText } from '../../core/acl.ts'
import type { FlowConfig } from '../../core/config/config.ts'
import { covers, type Topics } from '../../core/failover/flow-failover.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { Log } from '../../io/log.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import type { RefusedAcl } from '../follow/sync-acls.ts'
import { grantWithheld, type WithheldDeps, withholdAgain } from '../follow/withheld-acls.ts'

export type RightsDeps = WithheldDeps & {
  readonly checkpoints: Pick<CheckpointStore, 'list'>
  readonly log: Log
}

/** Throws `ReplicatorError` that names a right which the standby refuses to grant. */
export async function grantWriting(
  deps: RightsDeps,
  flow: FlowConfig,
  topics: Topics,
): Promise<void> {
  const { granted, refused } = await grantWithheld(deps, flow, await namesOf(deps, flow, topics))
  for (const acl of granted) say(deps, flow, `granted ${aclText(acl)}`)
  refuseWhere(refused, flow, 'failover')
}

/** Throws `ReplicatorError` that names a right which the standby refuses to take away. */
export async function withholdWriting(
  deps: RightsDeps,
  flow: FlowConfig,
  topics: Topics,
): Promise<void> {
  const { withheld, refused } = await withholdAgain(deps, flow, await namesOf(deps, flow, topics))
  for (const acl of withheld) say(deps, flow, `withheld ${aclText(acl)} again`)
  refuseWhere(refused, flow, 'failback')
}

async function namesOf(
  { checkpoints }: RightsDeps,
  flow: FlowConfig,
  topics: Topics,
): Promise<string[]> {
  const listed = await checkpoints.list(flow.name)
  const names = new Set([...listed.checkpoints, ...listed.corrupt].map(each => each.topic))
  return [...names].filter(each => covers(topics, each))
}

function say({ log }: RightsDeps, flow: FlowConfig, what: string): void {
  log({ level: 'info', text: `Flow ${flow.name}: ${what} on ${flow.to}.` })
}

function refuseWhere(
  refused: readonly RefusedAcl[],
  flow: FlowConfig,
  command: 'failover' | 'failback',
): void {
  const [first] = refused
  if (first === undefined) return
  const more = refused.length === 1 ? '' : `, and ${refused.length - 1} more`
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `${flow.to} refuses to change ${aclText(first.acl)}${more}: ${first.reason}`,
    hint: `Change it with kafka-acls.sh, or grant gapless Alter on the cluster, and run gapless ${command} again`,
  })
}
