// Owns the configuration of one cluster: its brokers, TLS and SASL. A secret is a text or a
// reference; the value of a reference is never part of a configuration
// (io/security/secret-reader.ts).

import { z } from 'zod'
import { brokerProblem } from './broker-address.ts'
import { clusterDefaults } from './defaults.ts'

export const text = (accepted: string) => z.string(accepted).min(1, accepted)

/**
 * Gives a key its description, which docs/CONFIG.md and the schema for editors print. Registers it
 * on the schema itself, because `.meta()` would clone each schema of every cold start.
 */
export function about<T extends z.ZodType>(description: string, key: T): T {
  z.globalRegistry.add(key, { description })
  return key
}

/**
 * An object that refuses unknown keys. The text of the issue about one is the list of the keys that
 * the object may have, for the problem that names the nearest of them (config.ts).
 */
export function object<S extends z.core.$ZodLooseShape>(shape: S, accepted?: string) {
  return z.strictObject(shape, {
    error: issue =>
      issue.code === 'unrecognized_keys' ? Object.keys(shape).join(' | ') : accepted,
  })
}

export const secretReferences = [
  object({
    secretsManager: about(
      'Name or ARN of a secret in Secrets Manager, such as `prod/kafka`.',
      text('the name or ARN of a secret'),
    ),
    key: about(
      'One value of the JSON object that the secret holds; without `key`, the whole secret.',
      text('a key of the secret').optional(),
    ),
  }),
  object({
    ssm: about(
      'Name or ARN of a parameter in SSM Parameter Store, such as `/prod/kafka/password`; it is decrypted.',
      text('the name or ARN of a parameter'),
    ),
  }),
] as const

const referenceForms = '{ secretsManager, key } | { ssm }'

/** A text, or a reference to it in AWS. */
const secretText = (what: string) => {
  const accepted = `${what} | ${referenceForms}`
  return z.union([text(accepted), ...secretReferences], accepted)
}

// The client secret is sent to this URL, so only HTTPS or this machine will do.
const tokenUrl = text('an https:// URL')
  .regex(/^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1|\[::1\])[:/])/, 'an https:// URL')
  .refine(hasNoUserInfo, 'an https:// URL without user and password: clientId and clientSecret')

const tokenForms = `a token | ${referenceForms} | { url, clientId, clientSecret, scope }`

const token = z.union(
  [
    text(tokenForms),
    ...secretReferences,
    object({
      url: about('The token endpoint.', tokenUrl),
      clientId: secretText('a client id'),
      clientSecret: secretText('a client secret'),
      scope: text('a scope').optional(),
    }),
  ],
  tokenForms,
)

const pem = () => secretText('a PEM file or its text').optional()

export const tlsFiles = object({
  ca: about('PEM: the certificate authorities to trust instead of those of Node.', pem()),
  cert: about('PEM: the client certificate, where the cluster asks for one (mutual TLS).', pem()),
  key: about('PEM: the private key of `cert`.', pem()),
  passphrase: about(
    'The passphrase of `key`, where the key is encrypted.',
    secretText('a passphrase').optional(),
  ),
  rejectUnauthorized: about(
    '`true` (default) refuses a cluster whose certificate cannot be verified; `false` is for drills only.',
    z.boolean('true | false').default(true),
  ),
})

const tls = z.union(
  [z.boolean(), tlsFiles],
  'true | false | { ca, cert, key, passphrase, rejectUnauthorized }',
)

export const saslMechanisms = [
  object({
    mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
    username: about('The user name.', secretText('a user name')),
    password: about('The password.', secretText('a password')),
  }),
  object({
    mechanism: z.literal('oauthbearer'),
    token: about(
      'The token, or the OAuth 2.0 client credentials that fetch one: `{ url, clientId, clientSecret, scope }`.',
      token,
    ),
  }),
  object({
    mechanism: z.literal('aws-msk-iam'),
    region: about(
      'The AWS region of the MSK cluster. MSK takes IAM over TLS only: `tls` must be set.',
      text('an AWS region'),
    ),
  }),
] as const

const sasl = z.discriminatedUnion(
  'mechanism',
  saslMechanisms,
  'mechanism: plain | scram-sha-256 | scram-sha-512 | oauthbearer | aws-msk-iam, and its credentials',
)

const brokerAddress = text('host:port').superRefine((value, context) => {
  const problem = brokerProblem(value)
  if (problem !== null) context.addIssue({ code: 'custom', message: problem })
})
const brokers = z.preprocess(
  // One environment variable holds a whole list: "b1:9092,b2:9092".
  value => {
    const list = typeof value === 'string' ? [value] : value
    return Array.isArray(list)
      ? list.flatMap(item =>
          typeof item === 'string' ? item.split(',').map(part => part.trim()) : [item],
        )
      : list
  },
  z.array(brokerAddress, 'a list of host:port').min(1, 'at least one host:port'),
)

const watchIdentity = object(
  {
    tls: about('Instead of `tls` of the cluster.', tls.optional()),
    sasl: about('Instead of `sasl` of the cluster.', sasl.optional()),
  },
  '{ sasl, tls }',
).refine(({ sasl, tls }) => sasl !== undefined || tls !== undefined, '{ sasl, tls }, one or both')

export const clusterSchema = object(
  {
    brokers: about(
      'The bootstrap brokers. One text may hold several, separated by commas.',
      brokers,
    ),
    tls: about(
      'Encryption: `true` trusts the certificate authorities of Node, an object names certificates.',
      tls.default(clusterDefaults.tls),
    ),
    sasl: about('How gapless authenticates to the cluster.', sasl.optional()),
    insecure: about(
      '`true` allows what sends credentials in the clear: `plain` or `oauthbearer` without `tls`.',
      z.boolean('true | false').optional(),
    ),
    watch: about(
      'Another identity for the `watch` function, which only describes and reads: `{ sasl, tls }`. See SECURITY.',
      watchIdentity.optional(),
    ),
  },
  '{ brokers, tls, sasl, insecure, watch }',
)

/** The cluster as the watch function opens it: with the identity that its `watch` names. */
export function asWatch(cluster: z.output<typeof clusterSchema>): z.output<typeof clusterSchema> {
  const { watch = {}, ...rest } = cluster
  const { tls, sasl } = watch
  return { ...rest, ...(tls === undefined ? {} : { tls }), ...(sasl === undefined ? {} : { sasl }) }
}

/** `fetch` takes no URL with a user, and a password in a URL would be printed with it. */
function hasNoUserInfo(url: string): boolean {
  return URL.canParse(url) && new URL(url).username === '' && new URL(url).password === ''
}

/** True for the text of a PEM. Any other text names a file. */
export function isPemText(value: string): boolean {
  return value.includes('-----BEGIN ')
}

export type SecretText = z.output<ReturnType<typeof secretText>>
export type SecretReference = Exclude<SecretText, string>
export type TokenSource = z.output<typeof token>
/** The OAuth 2.0 client credentials that fetch a token (RFC 6749, section 4.4). */
export type ClientCredentials = Extract<TokenSource, { url: string }>
