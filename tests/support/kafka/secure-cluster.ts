// A real broker as a company runs it: TLS with a private authority, SCRAM, PLAIN and bearer tokens,
// and ACLs that allow only granted operations. Besides the listeners for clients it has the plain
// listener of every test broker, on which a test is the superuser.

import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { alterUserScramCredentialsV0, Connection } from '@platformatic/kafka'
import type { Kafka } from 'kafkajs'
import { kafkajs } from '../../../cli/kafkajs/load-kafkajs.ts'
import type { BrokerListener } from '../../../localstack/kafka/properties.ts'
import { findFreePort } from '../../../localstack/processes/ports.ts'
import { startCluster, type TestCluster } from '../../../localstack/scratch/brokers.ts'
import { connectTo, withAdmin } from '../../../localstack/scratch/topics.ts'
import { type Certificate, createAuthority, createCertificate } from './certificates.ts'

/** The authority of both clusters of a test file; clients trust it by `ca`. */
export const authority = createAuthority('gapless tests')

export type ListenerName = 'SECURE' | 'BRIEF' | 'EXPIRED' | 'MUTUAL'

export type SecureCluster = {
  readonly cluster: TestCluster
  /** A client on the plain listener, as the superuser. */
  readonly kafka: Kafka
  /** The address `127.0.0.1:port` of a listener. */
  at(listener: ListenerName): string
}

/** The length of a SASL session on the listener BRIEF. */
export const briefSessionMs = 2_500

const protocols: Record<ListenerName, BrokerListener['protocol']> = {
  // SCRAM, PLAIN and bearer tokens.
  SECURE: 'SASL_SSL',
  // The same, with sessions of seconds.
  BRIEF: 'SASL_SSL',
  // With a certificate that expired yesterday.
  EXPIRED: 'SASL_SSL',
  // No SASL: the client's certificate is its identity.
  MUTUAL: 'SSL',
}

/** Starts the broker with these users and their passwords; none has a permission yet. */
export async function startSecureCluster(
  name: string,
  users: Readonly<Record<string, string>>,
): Promise<SecureCluster> {
  const subject = `${name} broker`
  const dayMs = 86_400_000
  const good = createCertificate(authority, { name: subject })
  const expired = createCertificate(authority, {
    name: subject,
    validFromMs: Date.now() - 2 * dayMs,
    validToMs: Date.now() - dayMs,
  })
  const listeners: BrokerListener[] = []
  for (const [listener, protocol] of Object.entries(protocols)) {
    listeners.push({ name: listener, port: await findFreePort(), protocol })
  }
  const properties = propertiesOf({ good, expired }, users)
  const cluster = await startCluster(name, { listeners, properties })
  await createScramUsers(cluster, users)
  return {
    cluster,
    kafka: connectTo(cluster),
    at: listener => `127.0.0.1:${listeners.find(each => each.name === listener)?.port}`,
  }
}

/** A value of several lines, as a properties file has it. */
function inOneLine(pem: string): string {
  return pem.replaceAll('\n', '\\n')
}

function propertiesOf(
  certificates: { readonly good: Certificate; readonly expired: Certificate },
  users: Readonly<Record<string, string>>,
): Record<string, string> {
  const pemOf = (listener: string, { key, cert }: Certificate) => ({
    [`listener.name.${listener}.ssl.keystore.type`]: 'PEM',
    [`listener.name.${listener}.ssl.keystore.key`]: inOneLine(key),
    [`listener.name.${listener}.ssl.keystore.certificate.chain`]: inOneLine(cert + authority.cert),
    [`listener.name.${listener}.ssl.truststore.type`]: 'PEM',
    [`listener.name.${listener}.ssl.truststore.certificates`]: inOneLine(authority.cert),
  })
  const passwords = Object.entries(users).map(([user, password]) => `user_${user}="${password}"`)
  const module = 'org.apache.kafka.common.security'
  const saslOf = (listener: string) => ({
    [`listener.name.${listener}.sasl.enabled.mechanisms`]:
      'SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER',
    [`listener.name.${listener}.scram-sha-256.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
    [`listener.name.${listener}.scram-sha-512.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
    [`listener.name.${listener}.plain.sasl.jaas.config`]: `${module}.plain.PlainLoginModule required ${passwords.join(' ')};`,
    // Without an issuer's keys Kafka accepts unsigned tokens, whose claims a test can choose.
    [`listener.name.${listener}.oauthbearer.sasl.jaas.config`]: `${module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
  })
  return {
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
    ...pemOf('secure', certificates.good),
    ...pemOf('brief', certificates.good),
    ...pemOf('expired', certificates.expired),
    ...pemOf('mutual', certificates.good),
    'listener.name.mutual.ssl.client.auth': 'required',
    ...saslOf('secure'),
    ...saslOf('brief'),
    ...saslOf('expired'),
    'listener.name.brief.connections.max.reauth.ms': String(briefSessionMs),
  }
}

const SCRAM_ITERATIONS = 4_096
const SCRAM_HASHES = [
  { mechanism: 1, hash: 'sha256', bytes: 32 },
  { mechanism: 2, hash: 'sha512', bytes: 64 },
] as const

/** A user that is created while the cluster runs. */
export async function createScramUser(
  cluster: TestCluster,
  name: string,
  password: string,
): Promise<void> {
  await createScramUsers(cluster, { [name]: password })
}

async function createScramUsers(
  cluster: TestCluster,
  users: Readonly<Record<string, string>>,
): Promise<void> {
  const [node] = cluster.nodes
  if (node === undefined) throw new Error('a cluster without a broker')
  const connection = new Connection('test')
  await connection.connect('127.0.0.1', node.port)
  // A request may name a user only once.
  for (const { mechanism, hash, bytes } of SCRAM_HASHES) {
    const credentials = Object.entries(users).map(([name, password]) => {
      const salt = randomBytes(16)
      const saltedPassword = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, bytes, hash)
      return { name, mechanism, iterations: SCRAM_ITERATIONS, salt, saltedPassword }
    })
    await alterUserScramCredentialsV0.api.async(connection, [], credentials)
  }
  await connection.close()
}

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs

export type Grant = {
  readonly on: 'topic' | 'prefix' | 'transactional-ids' | 'groups' | 'cluster'
  readonly name: string
  readonly operations: readonly (keyof typeof AclOperationTypes)[]
}

const resourceTypes: Record<Grant['on'], AclResource> = {
  topic: AclResourceTypes.TOPIC,
  prefix: AclResourceTypes.TOPIC,
  groups: AclResourceTypes.GROUP,
  cluster: AclResourceTypes.CLUSTER,
  'transactional-ids': AclResourceTypes.TRANSACTIONAL_ID,
}
type AclResource = (typeof AclResourceTypes)[keyof typeof AclResourceTypes]

/** Allows a principal these operations and no others; groups by their prefix, the cluster whole. */
export async function grant(kafka: Kafka, principal: string, grants: readonly Grant[]) {
  const acl = grants.flatMap(({ on, name, operations }) =>
    operations.map(operation => ({
      resourceType: resourceTypes[on],
      resourceName: name,
      resourcePatternType:
        on === 'topic' || on === 'cluster'
          ? ResourcePatternTypes.LITERAL
          : ResourcePatternTypes.PREFIXED,
      principal,
      host: '*',
      operation: AclOperationTypes[operation],
      permissionType: AclPermissionTypes.ALLOW,
    })),
  )
  await withAdmin(kafka, admin => admin.createAcls({ acl }))
}

/** An unsigned JSON Web Token, which Kafka accepts as long as it knows no issuer. */
export function unsignedToken(subject: string, lifeMs: number): string {
  const part = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url')
  const seconds = Date.now() / 1_000
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: seconds, exp: seconds + lifeMs / 1_000 })}.`
}
