// Owns what the configuration may say of one cluster: where it answers, how the connection is
// encrypted, who we are to it. A secret is written here as itself or as a reference; what a
// reference stands for never gets into a configuration (io/security/secret-reader.ts).

import { z } from 'zod'

export const text = (accepted: string) => z.string(accepted).min(1, accepted)

const reference = [
  z.strictObject({
    secretsManager: text('the name or ARN of a secret'),
    /** Of the JSON object that the secret is; without it the whole secret is meant. */
    key: text('a key of the secret').optional(),
  }),
  z.strictObject({ ssm: text('the name or ARN of a parameter') }),
] as const

const referenceForms = '{ secretsManager, key } | { ssm }'

/** A text, or where AWS keeps it. */
const secretText = (what: string) => {
  const accepted = `${what} | ${referenceForms}`
  return z.union([text(accepted), ...reference], accepted)
}

// A secret that is sent over a network in the clear is none.
const tokenUrl = text('an https:// URL').regex(
  /^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1)[:/])/,
  'an https:// URL',
)

const tokenForms = `a token | ${referenceForms} | { url, clientId, clientSecret, scope }`

const token = z.union(
  [
    text(tokenForms),
    ...reference,
    z.strictObject({
      url: tokenUrl,
      clientId: secretText('a client id'),
      clientSecret: secretText('a client secret'),
      scope: text('a scope').optional(),
    }),
  ],
  tokenForms,
)

const pem = secretText('a PEM file or its text')

const tlsForms = 'true | false | { ca, cert, key, passphrase, rejectUnauthorized }'
const tls = z.union(
  [
    z.boolean(),
    z.strictObject({
      ca: pem.optional(),
      cert: pem.optional(),
      key: pem.optional(),
      passphrase: secretText('a passphrase').optional(),
      rejectUnauthorized: z.boolean('true | false').default(true),
    }),
  ],
  tlsForms,
)

const sasl = z.discriminatedUnion(
  'mechanism',
  [
    z.strictObject({
      mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
      username: secretText('a user name'),
      password: secretText('a password'),
    }),
    z.strictObject({ mechanism: z.literal('oauthbearer'), token }),
    z.strictObject({ mechanism: z.literal('aws-msk-iam'), region: text('an AWS region') }),
  ],
  'mechanism: plain | scram-sha-256 | scram-sha-512 | oauthbearer | aws-msk-iam, and its credentials',
)

const brokerAddress = text('host:port').regex(/^[^\s,]+:\d{1,5}$/, 'host:port')
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

export const clusterSchema = z.strictObject(
  { brokers, tls: tls.default(false), sasl: sasl.optional() },
  '{ brokers, tls, sasl }',
)

/** True for the PEM itself, which is used as it is; anything else names a file. */
export function isPemText(value: string): boolean {
  return value.includes('-----BEGIN ')
}

export type SecretText = z.output<ReturnType<typeof secretText>>
export type SecretReference = Exclude<SecretText, string>
export type TokenSource = z.output<typeof token>
/** How a token is fetched: OAuth 2.0 client credentials (RFC 6749, section 4.4). */
export type ClientCredentials = Extract<TokenSource, { url: string }>
