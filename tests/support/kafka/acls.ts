// Permissions on a real cluster: every operation is allowed that a test does not deny. All clients
// are the same principal, so an operation denied to the replicator is denied to the test as well.

import type { Kafka } from 'kafkajs'
import { kafkajs } from '../../../cli/kafkajs/load-kafkajs.ts'
import { until } from '../../../localstack/processes/until.ts'
import { withAdmin } from '../../../localstack/scratch/topics.ts'

/** For server.properties: enforces ACLs, and allows every resource without an ACL. */
export const aclProperties = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
}

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs

const everybody = { principal: 'User:*', host: '*' }

/** The name of the cluster resource, for the permission to create topics. */
export const theCluster = 'kafka-cluster'

/** The resource of a consumer group; a topic name has no colon. */
export const groupNamed = (group: string) => `group:${group}`

/**
 * Denies one operation on a topic, a group, the cluster, or the transactional ids with a prefix. A
 * prefix has a slash, a topic name has none. All other operations stay allowed. Resolves when the
 * brokers enforce it.
 */
export async function deny(
  kafka: Kafka,
  resource: string,
  operation:
    | 'DESCRIBE'
    | 'DESCRIBE_CONFIGS'
    | 'READ'
    | 'WRITE'
    | 'CREATE'
    | 'DELETE'
    | 'ALTER_CONFIGS',
): Promise<void> {
  const on = { ...named(resource), ...everybody }
  await withAdmin(kafka, admin =>
    admin.createAcls({
      acl: [
        // As soon as an ACL names the resource, every operation that none allows is denied.
        {
          ...on,
          operation: AclOperationTypes.ALL,
          permissionType: AclPermissionTypes.ALLOW,
        },
        {
          ...on,
          operation: AclOperationTypes[operation],
          permissionType: AclPermissionTypes.DENY,
        },
      ],
    }),
  )
  await until(`${resource} is guarded`, async () => (await countAcls(kafka, resource)) === 2)
}

/** Allows everything on the resource again. */
export async function allow(kafka: Kafka, resource: string): Promise<void> {
  await withAdmin(kafka, admin => admin.deleteAcls({ filters: [filterOf(resource)] }))
  await until(`${resource} is free`, async () => (await countAcls(kafka, resource)) === 0)
}

/** The broker's authorizer answers, so the ACLs that it lists are enforced. */
async function countAcls(kafka: Kafka, resource: string): Promise<number> {
  const { resources } = await withAdmin(kafka, admin => admin.describeAcls(filterOf(resource)))
  return resources.reduce((count, { acls }) => count + acls.length, 0)
}

function filterOf(resource: string) {
  return {
    ...named(resource),
    operation: AclOperationTypes.ANY,
    permissionType: AclPermissionTypes.ANY,
  }
}

function named(resource: string) {
  if (resource.startsWith(groupNamed(''))) {
    return {
      resourceType: AclResourceTypes.GROUP,
      resourceName: resource.slice(groupNamed('').length),
      resourcePatternType: ResourcePatternTypes.LITERAL,
    }
  }
  const isPrefix = resource.includes('/')
  return {
    resourceType: isPrefix
      ? AclResourceTypes.TRANSACTIONAL_ID
      : resource === theCluster
        ? AclResourceTypes.CLUSTER
        : AclResourceTypes.TOPIC,
    resourceName: resource,
    resourcePatternType: isPrefix ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
  }
}
