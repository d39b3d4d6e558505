// Owns the step of a tick of sync that is about ACLs of topics: those of the source are created on
// the standby, and those that gapless created are removed once the source has them no more. The
// right to write is only stored (withheld-acls.ts). Does not own which ACLs follow
// (core/sync/acl-rewrite.ts), nor those of other people, which are never touched.

import { type Acl, aclKey, aclText } from '../../core/acl.ts'
import type { FlowConfig } from '../../core/config/config.ts'
import { syncTextsMax } from '../../core/config/defaults.ts'
import type { LogLine } from '../../core/monitoring/incident-lines.ts'
import { aclsOf } from '../../core/row/acl-row.ts'
import { CorruptRowError } from '../../core/row/row.ts'
import { planAcls } from '../../core/sync/acl-plan.ts'
import { followingAcls, type LeftAcl } from '../../core/sync/acl-rewrite.ts'
import type { AclAdmin, AclOutcome, ListedAcls } from '../../io/admin/acl-admin.ts'
import type { Clock } from '../../io/clock.ts'
import type { AclStore } from '../../io/sync/acl-store.ts'
import { type FollowDeps, type FollowedTopics, findFollowed } from '../observe/followed-topics.ts'
import { unobserved } from '../observe/logs.ts'
import { refusalToGuard } from './first-acl.ts'
import { type NotCopiedDeps, notCopied } from './not-copied.ts'
import { boundedLines, info, warn } from './sync-topics.ts'

export type SyncAclsDeps = FollowDeps &
  NotCopiedDeps & {
    readonly sourceAcls: Pick<AclAdmin, 'list'>
    readonly targetAcls: AclAdmin
    readonly acls: AclStore
    readonly clock: Pick<Clock, 'nowMs' | 'wait'>
  }

export type RefusedAcl = { readonly acl: Acl; readonly reason: string }

export type SyncedAcls = {
  readonly created: readonly Acl[]
  readonly removed: readonly Acl[]
  /** Wanted on the standby and absent, because the flow has `sync.acls: report`. */
  readonly missing: readonly Acl[]
  /** Wait for a fail-over. */
  readonly withheld: readonly Acl[]
  readonly left: readonly LeftAcl[]
  readonly refused: readonly RefusedAcl[]
  /** Sentences about users, quotas and other ACLs, which no tick copies. */
  readonly notCopied: readonly string[]
  /** Why nothing, or not all, was compared; one sentence each. */
  readonly unknown: readonly string[]
}

const nothing: SyncedAcls = {
  created: [],
  removed: [],
  missing: [],
  withheld: [],
  left: [],
  refused: [],
  notCopied: [],
  unknown: [],
}

/** Never throws when a cluster refuses or does not answer. `found`: one look for several steps. */
export async function syncAcls(
  deps: SyncAclsDeps,
  flow: FlowConfig,
  found?: FollowedTopics,
): Promise<SyncedAcls> {
  if (flow.sync.acls === 'off') return nothing
  const seen = found ?? (await findFollowed(deps, flow))
  try {
    return await followAcls(deps, flow, seen)
  } catch (error) {
    if (error instanceof CorruptRowError) return { ...nothing, unknown: [error.message] }
    return { ...nothing, unknown: [unobserved(error, null).detail] }
  }
}

async function followAcls(
  deps: SyncAclsDeps,
  flow: FlowConfig,
  found: FollowedTopics,
): Promise<SyncedAcls> {
  const [source, target] = await Promise.all([deps.sourceAcls.list(), deps.targetAcls.list()])
  const unheard = [
    ...whyNotListed(deps.source.name, source),
    ...whyNotListed(deps.target.name, target),
  ]
  if (source.kind !== 'listed' || target.kind !== 'listed') return { ...nothing, unknown: unheard }
  const ownPrincipal = deps.target.principal?.() ?? null
  const topics = [...found.existing.keys()]
  const following = followingAcls(source.topics, { rules: flow, topics, ownPrincipal })
  const { withheld, left } = following
  const common = {
    ...{ ...nothing, withheld, left },
    notCopied: await notCopied(deps, { source, target }),
    unknown: found.failures.map(each => `${each.cluster}: ${each.detail}`),
  }
  const rows = await deps.acls.list(flow.name)
  const isCertain =
    found.failures.length === 0 &&
    found.isKnownSource &&
    source.topics.length > 0 &&
    // One prefix may also cover a topic that is left alone, and applications use it there.
    found.leftAlone.length === 0
  const plan = planAcls({
    wanted: following.copied,
    present: target.topics,
    ours: aclsOf(rows, 'aclCopied'),
    mayRemove: isCertain,
  })
  if (flow.sync.acls === 'report') return { ...common, missing: plan.create }
  await storeWithheld(deps, flow, { withheld, known: aclsOf(rows, 'aclWithheld'), isCertain })
  const existing = found.followed.map(each => each.targetTopic)
  const guard = { create: plan.create, present: target.topics, topics: existing, ownPrincipal }
  const created = await create(deps, flow, guard)
  const removed = await remove(deps, flow, plan.remove, plan.forget)
  return {
    ...common,
    created: created.done,
    removed: removed.done,
    refused: [...created.refused, ...removed.refused],
  }
}

function whyNotListed(cluster: string, acls: ListedAcls): string[] {
  switch (acls.kind) {
    case 'listed':
      return []
    case 'disabled':
      return [`${cluster} has no authorizer (SECURITY_DISABLED), so there are no ACLs to compare`]
    case 'refused': {
      const { errorName, detail } = acls
      const right = errorName === 'CLUSTER_AUTHORIZATION_FAILED' ? ': it takes Describe on it' : ''
      return [
        `${cluster} does not list its ACLs: ${errorName}${detail === null ? '' : ` (${detail})`}${right}`,
      ]
    }
  }
}

/** Known before a fail-over, when the source may not answer any more. */
async function storeWithheld(
  { acls, clock }: SyncAclsDeps,
  { name }: FlowConfig,
  input: {
    readonly withheld: readonly Acl[]
    readonly known: readonly Acl[]
    readonly isCertain: boolean
  },
): Promise<void> {
  const { withheld, known, isCertain } = input
  const [wanted, stored] = [keysOf(withheld), keysOf(known)]
  const added = withheld.filter(each => !stored.has(aclKey(each)))
  const over = isCertain ? known.filter(each => !wanted.has(aclKey(each))) : []
  await acls.add(name, 'aclWithheld', added, clock.nowMs())
  await acls.remove(name, 'aclWithheld', over, clock.nowMs())
}

function keysOf(acls: readonly Acl[]): ReadonlySet<string> {
  return new Set(acls.map(aclKey))
}

type Changed = { readonly done: readonly Acl[]; readonly refused: readonly RefusedAcl[] }

/**
 * First the table says that they are ours, then they are created: one that the table forgot would
 * stay for ever, and nobody would know whose it is.
 */
async function create(
  deps: SyncAclsDeps,
  { name }: FlowConfig,
  guard: Parameters<typeof refusalToGuard>[1],
): Promise<Changed> {
  const { create: wanted } = guard
  const [first] = wanted
  if (first === undefined) return { done: [], refused: [] }
  await deps.acls.add(name, 'aclCopied', wanted, deps.clock.nowMs())
  const refusal = await refusalToGuard(deps, guard)
  if (refusal !== null) {
    await deps.acls.remove(name, 'aclCopied', wanted, deps.clock.nowMs())
    return { done: [], refused: [{ acl: first, reason: refusal }] }
  }
  const changed = changedBy(await deps.targetAcls.create(wanted), 'Alter')
  const refused = changed.refused.map(each => each.acl)
  await deps.acls.remove(name, 'aclCopied', refused, deps.clock.nowMs())
  return changed
}

/** First they are removed, then the table forgets them. */
async function remove(
  deps: SyncAclsDeps,
  { name }: FlowConfig,
  over: readonly Acl[],
  forgotten: readonly Acl[],
): Promise<Changed> {
  const changed = changedBy(await deps.targetAcls.remove(over), 'Alter')
  await deps.acls.remove(name, 'aclCopied', [...changed.done, ...forgotten], deps.clock.nowMs())
  return changed
}

export function changedBy(outcomes: readonly AclOutcome[], right: string): Changed {
  const done = outcomes.filter(each => each.errorName === 'NONE').map(each => each.acl)
  const refused = outcomes
    .filter(each => each.errorName !== 'NONE')
    .map(({ acl, errorName, detail }) => {
      const said = detail === null || detail === '' ? errorName : `${errorName}: ${detail}`
      const isDenied = errorName === 'CLUSTER_AUTHORIZATION_FAILED'
      return { acl, reason: isDenied ? `${said}; it takes ${right} on the cluster` : said }
    })
  return { done, refused }
}

/** What a person is told: at most `linesMax` sentences, and one that counts the rest. */
export function syncedAclsLines(
  synced: SyncedAcls,
  flow: FlowConfig,
  linesMax = syncTextsMax,
): LogLine[] {
  const { created, removed, missing, withheld, left, refused } = synced
  const counted = (acls: readonly Acl[], text: string) => {
    const [first] = acls
    return first === undefined ? [] : [`${acls.length} ACLs ${text}, the first: ${aclText(first)}`]
  }
  return boundedLines(
    [
      ...synced.unknown.map(warn),
      ...refused.map(each => warn(`${flow.to} refuses ${aclText(each.acl)}: ${each.reason}`)),
      ...left.map(each =>
        warn(`${aclText(each.acl)} of ${flow.from} is not copied: ${each.reason}`),
      ),
      ...counted(missing, `of ${flow.from} are missing on ${flow.to} (sync.acls is report)`).map(
        warn,
      ),
      ...counted(created, `were created on ${flow.to}`).map(info),
      ...counted(removed, `were removed on ${flow.to}, because ${flow.from} has them no more`).map(
        info,
      ),
      ...counted(withheld, 'are withheld until a fail-over').map(info),
      ...synced.notCopied.map(info),
    ],
    flow.name,
    linesMax,
  )
}
