// Owns the sentences about rights that no tick copies, so that nobody learns of them in a
// fail-over: SCRAM credentials, client quotas, and ACLs of other resources than topics. Does not
// own what is copied (sync-acls.ts).

import { notCopiedNamesMax } from '../../core/config/defaults.ts'
import type { ListedAcls } from '../../io/admin/acl-admin.ts'
import type { Listing, PrincipalAdmin } from '../../io/admin/principal-admin.ts'
import { unobserved } from '../observe/logs.ts'

export type NotCopiedDeps = {
  readonly source: { readonly name: string }
  readonly target: { readonly name: string }
  readonly sourcePrincipals: PrincipalAdmin
  readonly targetPrincipals: PrincipalAdmin
}

/** Never throws when a cluster refuses or does not answer. */
export async function notCopied(
  deps: NotCopiedDeps,
  acls: { readonly source: ListedAcls; readonly target: ListedAcls },
): Promise<string[]> {
  const [users, quotas] = await Promise.all([
    missing(deps, 'scramUsers', {
      things: 'SCRAM users',
      without: 'Describe on the cluster',
      why: 'Kafka tells no password: create them there (kafka-configs --entity-type users)',
    }),
    missing(deps, 'quotas', {
      things: 'client quotas',
      without: 'DescribeConfigs on the cluster',
      why: 'they are a choice of each cluster: set them there (kafka-configs --entity-type users)',
    }),
  ])
  return [...users, ...quotas, ...otherAcls(deps, acls)]
}

/** The things that the source has and the target has not. */
async function missing(
  { source, target, sourcePrincipals, targetPrincipals }: NotCopiedDeps,
  kind: keyof PrincipalAdmin,
  { things, without, why }: Record<'things' | 'without' | 'why', string>,
): Promise<string[]> {
  const [here, there] = await Promise.all([
    ask(sourcePrincipals, kind),
    ask(targetPrincipals, kind),
  ])
  for (const [cluster, answer] of [
    [source, here],
    [target, there],
  ] as const) {
    if (answer.kind === 'refused') {
      return [
        `${things} are not copied, and ${cluster.name} does not tell them (${answer.errorName}; it takes ${without})`,
      ]
    }
  }
  if (here.kind === 'refused' || there.kind === 'refused') return []
  const known = new Set(there.values)
  const names = here.values.filter(each => !known.has(each))
  if (names.length === 0) return []
  return [`${things} of ${source.name} that ${target.name} lacks: ${shortList(names)}. ${why}`]
}

async function ask(admin: PrincipalAdmin, kind: keyof PrincipalAdmin): Promise<Listing<string>> {
  try {
    return await admin[kind]()
  } catch (error) {
    return { kind: 'refused', errorName: unobserved(error, null).detail }
  }
}

function otherAcls(
  { source, target }: NotCopiedDeps,
  acls: { readonly source: ListedAcls; readonly target: ListedAcls },
): string[] {
  if (acls.source.kind !== 'listed' || acls.target.kind !== 'listed') return []
  const there = acls.target.others
  const fewer = Object.entries(acls.source.others).filter(
    ([kind, count]) => (there[kind] ?? 0) < count,
  )
  if (fewer.length === 0) return []
  const counts = fewer.map(([kind, count]) => `${kind} ${count} (${there[kind] ?? 0})`)
  return [
    `ACLs of other resources than topics are not copied; ${source.name} has (${target.name} has): ${counts.join(', ')}. ` +
      'Applications need those of their groups and transactional ids after a fail-over',
  ]
}

export function shortList(names: readonly string[]): string {
  const more = names.length - notCopiedNamesMax
  const shown = names.slice(0, notCopiedNamesMax).join(', ')
  return more > 0 ? `${shown}, and ${more} more` : shown
}
