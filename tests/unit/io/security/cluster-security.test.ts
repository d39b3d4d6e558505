// The credentials that a connection is opened with: when files, secrets and tokens are read, when
// they are read again, and the identity that operators are shown.

import { createPrivateKey } from 'node:crypto'
import { expect, test } from 'vitest'
import type { ClusterConfig } from '../../../../lib/core/config/config.ts'
import { CredentialError } from '../../../../lib/io/failure/credential-error.ts'
import {
  createClusterSecurity,
  describeIdentity,
} from '../../../../lib/io/security/cluster-security.ts'
import type { SecretReader } from '../../../../lib/io/security/secret-reader.ts'
import { createAuthority, createCertificate } from '../../../support/kafka/certificates.ts'

const authority = createAuthority('test')
const ours = createCertificate(authority, { name: 'gapless' })

const clusterWith = (fields: Partial<ClusterConfig>): ClusterConfig => ({
  brokers: ['b:1'],
  tls: false,
  ...fields,
})

/** A reader of these secrets, which records each read. */
function secretsOf(values: Record<string, string | Error>) {
  const asked: string[] = []
  const reader: SecretReader = {
    async read(reference) {
      const name = 'ssm' in reference ? reference.ssm : reference.secretsManager
      asked.push(name)
      const value = values[name]
      if (value instanceof Error) throw value
      return value ?? ''
    },
  }
  return { reader, asked, values }
}

const scram = (username: string | { ssm: string }) =>
  ({
    mechanism: 'scram-sha-512',
    username,
    password: { ssm: 'password' },
  }) as const

test('A secret is read once for all connections, and again after a connection could not be opened', async () => {
  const secrets = secretsOf({ password: 'old' })
  const config = clusterWith({ sasl: scram('gapless') })
  const security = createClusterSecurity('primary', config, secrets.reader)

  await Promise.all([security.read(), security.read()])
  await security.read()
  expect(secrets.asked).toEqual(['password'])
  secrets.values.password = 'rotated'
  security.forget()

  expect(await security.read()).toEqual({
    tls: null,
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'gapless', password: 'rotated' },
  })
  expect(secrets.asked).toEqual(['password', 'password'])
})

test('A secret that cannot be read makes its cluster fail, and the next connection reads it again', async () => {
  const secrets = secretsOf({
    password: new CredentialError('SSM parameter password is denied.', true),
  })
  const config = clusterWith({ sasl: scram('gapless') })
  const security = createClusterSecurity('primary', config, secrets.reader)

  await expect(security.read()).rejects.toMatchObject({
    name: 'BrokerFailure',
    reason: 'authorization-denied',
    cluster: 'primary',
    message: 'SSM parameter password is denied',
  })
  secrets.values.password = new CredentialError('AWS does not answer', false)
  await expect(security.read()).rejects.toMatchObject({ reason: 'unreachable' })
  secrets.values.password = 'there'
  expect((await security.read()).sasl).toMatchObject({ password: 'there' })
})

test('A token behind a reference is read for every connection, because it is renewed from outside', async () => {
  const secrets = secretsOf({ token: 'one' })
  const sasl = { mechanism: 'oauthbearer', token: { ssm: 'token' } } as const
  const security = createClusterSecurity('primary', clusterWith({ sasl }), secrets.reader)
  expect((await security.read()).sasl).toEqual({ mechanism: 'OAUTHBEARER', token: 'one' })
  secrets.values.token = 'two'
  expect((await security.read()).sasl).toEqual({ mechanism: 'OAUTHBEARER', token: 'two' })
})

test('A PEM is taken from the configuration or from the secret behind a reference', async () => {
  const secrets = secretsOf({ key: ours.key })
  const tls = {
    ca: authority.cert,
    cert: ours.cert,
    key: { ssm: 'key' },
    rejectUnauthorized: true,
  }
  const security = createClusterSecurity('primary', clusterWith({ tls }), secrets.reader)

  expect(security.principal()).toBeNull()
  expect((await security.read()).tls).toEqual({
    ca: authority.cert,
    cert: ours.cert,
    key: ours.key,
    rejectUnauthorized: true,
  })
  expect(security.principal()).toBe('User:CN=gapless')
})

test.each([
  [{ ca: '/no/such.pem' }, 'cannot read the TLS file /no/such.pem of tls.ca (ENOENT); correct it'],
  [{ key: import.meta.filename }, `${import.meta.filename} of tls.key is no PEM; convert it`],
  [
    { cert: { ssm: 'path' } },
    'the secret that tls.cert refers to is no PEM text; store the PEM itself there',
  ],
])(
  'A TLS file or secret that is no PEM is named with what to correct: %j',
  async (fields, words) => {
    const secrets = secretsOf({ path: '/canary-path.pem' })
    const tls = { ...fields, rejectUnauthorized: true }
    const security = createClusterSecurity('standby', clusterWith({ tls }), secrets.reader)

    await expect(security.read()).rejects.toMatchObject({
      name: 'BrokerFailure',
      cluster: 'standby',
      message: expect.stringContaining(words),
    })
    await expect(security.read()).rejects.not.toThrow('canary')
  },
)

test('A key that does not fit its certificate, or that the passphrase does not open, fails before a connection is opened', async () => {
  const other = createCertificate(authority, { name: 'other' })
  const encrypted = createPrivateKey(ours.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'canary',
  })
  const read = (fields: { key: string | Buffer; passphrase?: string }) => {
    const { key, ...rest } = fields
    const tls = { cert: ours.cert, key: String(key), ...rest, rejectUnauthorized: true }
    return createClusterSecurity('primary', clusterWith({ tls })).read()
  }
  await expect(read({ key: other.key })).rejects.toThrow('tls.key is not the key of tls.cert')
  await expect(read({ key: encrypted })).rejects.toThrow('tls.key is encrypted and')
  await expect(read({ key: encrypted, passphrase: 'wrong' })).rejects.toThrow(
    'tls.passphrase, if set, does not open it',
  )
  expect((await read({ key: encrypted, passphrase: 'canary' })).tls).toHaveProperty('key')
})

test('Our identity is shown as Kafka names it, without a name that is behind a reference', () => {
  const nameOf = (config: ClusterConfig) =>
    describeIdentity(config, createClusterSecurity('primary', config).principal())
  expect(nameOf(clusterWith({ sasl: scram('gapless') }))).toBe('SASL SCRAM-SHA-512 as User:gapless')
  expect(nameOf(clusterWith({ sasl: scram({ ssm: 'user' }) }))).toBe('SASL SCRAM-SHA-512')
  expect(nameOf(clusterWith({ sasl: { mechanism: 'aws-msk-iam', region: 'eu-west-1' } }))).toBe(
    'SASL AWS-MSK-IAM',
  )
  expect(nameOf(clusterWith({}))).toBe('a connection without TLS and SASL')
})
