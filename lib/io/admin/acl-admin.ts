// Owns the requests about ACLs: which there are, creating and removing them, and what gapless
// itself may do with a topic. Does not own which ACLs there should be (core/sync/acl-plan.ts).

import {
  AclOperations,
  AclPermissionTypes,
  createAclsV3,
  deleteAclsV3,
  describeAclsV3,
  metadataV12,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka'
import { type Acl, aclKey, topicOperations } from '../../core/acl.ts'
import { aclsInRequestMax } from '../../core/config/defaults.ts'
import { errorName } from '../../kafka/error-codes.ts'
import type { OpenedCluster } from '../cluster/cluster.ts'
import type { RequestResult } from './admin-request.ts'

export type ListedAcls =
  | {
      readonly kind: 'listed'
      /** Those of topics, with operations that a topic has. */
      readonly topics: readonly Acl[]
      /** How many there are of every other kind of resource, by Kafka's name of the kind. */
      readonly others: Readonly<Record<string, number>>
    }
  /** The cluster has no authorizer (SECURITY_DISABLED). */
  | { readonly kind: 'disabled' }
  | { readonly kind: 'refused'; readonly errorName: string; readonly detail: string | null }

export type AclOutcome = {
  readonly acl: Acl
  /** Kafka's name of the error; NONE: done, also where it was so before. */
  readonly errorName: string
  readonly detail: string | null
}

/** Every function throws `BrokerFailure` when the cluster does not answer. */
export type AclAdmin = {
  list(): Promise<ListedAcls>
  create(acls: readonly Acl[]): Promise<AclOutcome[]>
  /** Removes exactly these, and no ACL that only matches. */
  remove(acls: readonly Acl[]): Promise<AclOutcome[]>
  /**
   * Whether every broker lets gapless write to this topic (KIP-430). Null: one of them does not
   * say, or has not heard of these ACLs yet.
   */
  mayWrite(topic: string, known: readonly Acl[]): Promise<boolean | null>
}

const anything = {
  resourceType: ResourceTypes.ANY,
  resourcePatternType: ResourcePatternTypes.ANY,
  resourceName: null,
  principal: null,
  host: null,
  operation: AclOperations.ANY,
  permissionType: AclPermissionTypes.ANY,
}

type Cluster = { readonly brokers: Pick<OpenedCluster['brokers'], 'onAny' | 'onEvery'> }

export function createAclAdmin({ brokers }: Cluster): AclAdmin {
  return {
    async list() {
      return listed(await brokers.onAny(on => describeAclsV3.api.async(on, anything)))
    },
    create: acls =>
      inRequests(acls, async some => {
        const { results } = await brokers.onAny(on => createAclsV3.api.async(on, some.map(onWire)))
        return results
      }),
    remove: acls =>
      inRequests(acls, async some => {
        const { filterResults } = await brokers.onAny(on =>
          deleteAclsV3.api.async(on, some.map(onWire)),
        )
        return filterResults
      }),
    async mayWrite(topic, known) {
      // Two requests, because an error code of one would be taken for the answer of both.
      const acls = await brokers.onEvery(on => describeAclsV3.api.async(on, anything))
      const described = await brokers.onEvery(on => metadataV12.api.async(on, [topic], false, true))
      if (acls.failures.length > 0 || described.failures.length > 0) return null
      if (!acls.answers.every(each => hasAll(listed(each), known))) return null
      const rights = described.answers.map(({ topics: [found] }) => mayWriteTo(found))
      if (rights.includes(false)) return false
      return rights.length === 0 || rights.includes(null) ? null : true
    },
  }
}

type DescribedTopic = Awaited<ReturnType<typeof metadataV12.api.async>>['topics'][number]

function mayWriteTo(topic: DescribedTopic | undefined): boolean | null {
  if (topic === undefined) return null
  if (errorName(topic.errorCode) === 'TOPIC_AUTHORIZATION_FAILED') return false
  if (topic.errorCode !== 0) return null
  return (topic.topicAuthorizedOperations & (1 << AclOperations.WRITE)) !== 0
}

function hasAll(acls: ListedAcls, known: readonly Acl[]): boolean {
  if (acls.kind !== 'listed') return false
  const keys = new Set(acls.topics.map(aclKey))
  return known.every(each => keys.has(aclKey(each)))
}

async function inRequests(
  acls: readonly Acl[],
  send: (some: readonly Acl[]) => Promise<readonly RequestResult[]>,
): Promise<AclOutcome[]> {
  const outcomes: AclOutcome[] = []
  for (let from = 0; from < acls.length; from += aclsInRequestMax) {
    const some = acls.slice(from, from + aclsInRequestMax)
    const results = await send(some)
    some.forEach((acl, index) => {
      const result = results[index]
      const name = errorName(result?.errorCode ?? -1)
      outcomes.push({ acl, errorName: name, detail: result?.errorMessage ?? null })
    })
  }
  return outcomes
}

function onWire({ pattern, name, permission, operation, principal, host }: Acl) {
  return {
    resourceType: ResourceTypes.TOPIC,
    resourceName: name,
    resourcePatternType: ResourcePatternTypes[pattern],
    principal,
    host,
    operation: AclOperations[operation],
    permissionType: AclPermissionTypes[permission],
  }
}

type Described = Awaited<ReturnType<typeof describeAclsV3.api.async>>

function listed({ errorCode, errorMessage, resources }: Described): ListedAcls {
  const error = errorName(errorCode)
  if (error === 'SECURITY_DISABLED') return { kind: 'disabled' }
  if (error !== 'NONE') return { kind: 'refused', errorName: error, detail: errorMessage ?? null }
  const topics: Acl[] = []
  const others: Record<string, number> = {}
  const count = (kind: string, by: number) => {
    others[kind] = (others[kind] ?? 0) + by
  }
  for (const { resourceType, resourceName: name, resourcePatternType, acls } of resources) {
    const pattern = patterns.find(each => ResourcePatternTypes[each] === resourcePatternType)
    if (resourceType !== ResourceTypes.TOPIC || pattern === undefined) {
      count(labelOf(ResourceTypes, resourceType), acls.length)
      continue
    }
    for (const { principal, host, operation: code, permissionType } of acls) {
      const operation = operations.find(each => AclOperations[each] === code)
      const permission = permissions.find(each => AclPermissionTypes[each] === permissionType)
      // An operation of a later Kafka.
      if (operation === undefined || permission === undefined) count('TOPIC', 1)
      else topics.push({ pattern, name, permission, operation, principal, host })
    }
  }
  return { kind: 'listed', topics, others }
}

const patterns = ['LITERAL', 'PREFIXED'] as const
const permissions = ['ALLOW', 'DENY'] as const
const operations = [...topicOperations, 'ALL'] as const

function labelOf(labels: Readonly<Record<string, number>>, code: number): string {
  return Object.keys(labels).find(each => labels[each] === code) ?? `resource type ${code}`
}
