// Permissions on a real cluster: everybody may do everything, except what a test denies. All
// clients here are the same principal, so what is denied to the replicator on a topic is denied
// to the test as well.

import type { Kafka } from 'kafkajs'
import { kafkajs } from '../../../cli/kafkajs/load-kafkajs.ts'
import { until } from '../../../localstack/processes/until.ts'
import { withAdmin } from '../../../localstack/scratch/topics.ts'

/** For server.properties: enforces ACLs, and allows whatever no ACL speaks of. */
export const aclProperties = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
}

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs

const everybody = { principal: 'User:*', host: '*' }

/** The cluster as a resource of its own, for creating topics. */
export const theCluster = 'kafka-cluster'

/**
 * Denies one operation on a topic, the cluster, or the transactional ids with a prefix (known by
 * its slash, which no topic's name has); all others stay allowed. Resolves once the brokers know.
 */
export async function deny(
  kafka: Kafka,
  resource: string,
  operation: 'DESCRIBE' | 'DESCRIBE_CONFIGS' | 'READ' | 'WRITE' | 'CREATE',
): Promise<void> {
  const on = { ...named(resource), ...everybody }
  await withAdmin(kafka, admin =>
    admin.createAcls({
      acl: [
        // As soon as any ACL names the resource, what none of them allows is denied.
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

/** Answered by the broker's authorizer itself, so what it lists is enforced. */
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
