// Owns TLS and SASL of one cluster: reads PEM files, secrets behind references and tokens when a
// connection is opened, and names our identity there. Does not own the handshakes (connection.ts,
// data-connection.ts). Secrets are read once, and again after a connection could not be opened, so
// the next attempt finds a rotated one. A secret behind a reference is never in a Config.

import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type ConnectionOptions, createSecureContext } from 'node:tls'
import { isPemText, type SecretText, type TokenSource } from '../../core/config/cluster-config.ts'
import type { ClusterConfig } from '../../core/config/config.ts'
import { systemClock } from '../clock.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'
import { CredentialError } from '../failure/credential-error.ts'
import { tlsFailure } from '../failure/tls-failure.ts'
import { type BearerToken, fetchToken, subjectOf } from './bearer-token.ts'
import { signMskToken } from './msk-token.ts'
import { createSecretReader, type SecretReader } from './secret-reader.ts'

export type SaslCredentials =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly username: string
      readonly password: string
    }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: string }

export type TlsOptions = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'rejectUnauthorized'
>

export type Security = { readonly tls: TlsOptions | null; readonly sasl: SaslCredentials | null }

export type ClusterSecurity = {
  /**
   * Reads what a connection that is opened now needs, so with a token that is valid now. Throws
   * `BrokerFailure` naming the reference, file or endpoint that could not be read.
   */
  read(): Promise<Security>
  /** Makes the next `read` read anew: a connection could not be opened with these credentials. */
  forget(): void
  /**
   * Our Kafka principal, as far as it is known: `User:gapless`. A name behind a reference is never
   * shown, and the subject of a certificate is known once the certificate was read.
   */
  principal(): string | null
}

type Sasl = NonNullable<ClusterConfig['sasl']>
type Tls = ClusterConfig['tls']

export function createClusterSecurity(
  cluster: string,
  config: ClusterConfig,
  secrets: SecretReader = createSecretReader(),
): ClusterSecurity {
  const { tls, sasl } = config
  const textOf = async (value: SecretText) =>
    typeof value === 'string' ? value : secrets.read(value)
  const credentials = sasl === undefined ? null : createCredentials(sasl, textOf)
  let principal = sasl === undefined ? null : namedPrincipal(sasl)
  let readTls: Promise<TlsOptions | null> | null = null
  return {
    async read() {
      try {
        readTls ??= tlsOptions(tls, textOf)
        const found = await readTls
        if (sasl === undefined) principal = certificatePrincipal(found)
        return { tls: found, sasl: (await credentials?.read()) ?? null }
      } catch (error) {
        readTls = null
        credentials?.forget()
        throw unreadable(cluster, error)
      }
    },
    forget() {
      readTls = null
      credentials?.forget()
    },
    principal: () => principal,
  }
}

/** The principal for operators to read, where known: `SASL SCRAM-SHA-512 as User:gapless`. */
export function describeIdentity(config: ClusterConfig, principal: string | null): string {
  const { tls, sasl } = config
  const as = principal === null ? '' : ` as ${principal}`
  if (sasl !== undefined) return `SASL ${sasl.mechanism.toUpperCase()}${as}`
  return tls === false ? 'a connection without TLS and SASL' : `TLS${as}`
}

type Credentials = { read(): Promise<SaslCredentials>; forget(): void }
type TextOf = (value: SecretText) => Promise<string>

function createCredentials(sasl: Sasl, textOf: TextOf): Credentials {
  switch (sasl.mechanism) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512': {
      const mechanism = saslNames[sasl.mechanism]
      return keep(async () => {
        const [username, password] = await Promise.all([
          textOf(sasl.username),
          textOf(sasl.password),
        ])
        return { value: { mechanism, username, password }, freshUntilMs: Number.POSITIVE_INFINITY }
      })
    }
    case 'oauthbearer':
      return bearer(() => tokenFrom(sasl.token, textOf))
    case 'aws-msk-iam':
      return bearer(() => signMskToken(sasl.region, systemClock.nowMs()))
  }
}

const saslNames = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const

function bearer(obtain: () => Promise<BearerToken>): Credentials {
  return keep(async () => {
    const { token, freshUntilMs } = await obtain()
    const value = { mechanism: 'OAUTHBEARER' as const, token }
    return { value, freshUntilMs: freshUntilMs ?? Number.NEGATIVE_INFINITY }
  })
}

async function tokenFrom(source: TokenSource, textOf: TextOf): Promise<BearerToken> {
  if (typeof source === 'string' || !('url' in source)) {
    // The token in a secret is renewed from outside, so it is read again for every connection.
    return { token: await textOf(source), freshUntilMs: null }
  }
  const [clientId, clientSecret] = await Promise.all([
    textOf(source.clientId),
    textOf(source.clientSecret),
  ])
  const { url, scope } = source
  return fetchToken({ url, clientId, clientSecret, scope }, systemClock.nowMs())
}

/** Obtains credentials once for all callers while they are fresh. A failure is not kept. */
function keep(
  obtain: () => Promise<{ value: SaslCredentials; freshUntilMs: number }>,
): Credentials {
  let kept: ReturnType<typeof obtain> | null = null
  return {
    async read() {
      const known = kept
      const found = known === null ? null : await known
      if (found !== null && found.freshUntilMs > systemClock.nowMs()) return found.value
      // A second caller takes the credentials that the first one obtains.
      if (kept === null || kept === known) {
        const fresh = obtain()
        kept = fresh
        fresh.catch(() => {
          if (kept === fresh) kept = null
        })
      }
      return (await kept).value
    },
    forget() {
      kept = null
    },
  }
}

async function tlsOptions(tls: Tls, textOf: TextOf): Promise<TlsOptions | null> {
  if (tls === false) return null
  if (tls === true) return {}
  const pem = async (name: 'ca' | 'cert' | 'key') => {
    const value = tls[name]
    return value === undefined ? {} : { [name]: await pemOf(await textOf(value), value, name) }
  }
  const passphrase =
    tls.passphrase === undefined ? {} : { passphrase: await textOf(tls.passphrase) }
  const [ca, cert, key] = await Promise.all([pem('ca'), pem('cert'), pem('key')])
  const options = { ...ca, ...cert, ...key, ...passphrase }
  assertUsable(options)
  return { ...options, rejectUnauthorized: tls.rejectUnauthorized }
}

/** Checked before a connection is opened: afterwards the error looks like one of the handshake. */
function assertUsable(options: TlsOptions): void {
  try {
    createSecureContext(options)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no code'
    const reason =
      tlsFailure(code) ?? `OpenSSL does not accept tls.ca, tls.cert or tls.key (${code})`
    throw new PemError(reason)
  }
}

class PemError extends Error {
  override readonly name = 'PemError'
}

/** A secret has to hold the PEM itself: a path in it would name a file of another machine. */
async function pemOf(found: string, from: SecretText, name: string): Promise<string> {
  if (isPemText(found)) return found
  if (typeof from !== 'string') {
    throw new PemError(
      `the secret that tls.${name} refers to is no PEM text; store the PEM itself there`,
    )
  }
  let content: string
  try {
    content = await readFile(found, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
    throw new PemError(`cannot read the TLS file ${found} of tls.${name}${code}; correct it`)
  }
  if (isPemText(content)) return content
  throw new PemError(`the TLS file ${found} of tls.${name} is no PEM; convert it with openssl`)
}

function unreadable(cluster: string, error: unknown): unknown {
  const isOurs = error instanceof CredentialError
  if (!isOurs && !(error instanceof PemError)) return error
  return new BrokerFailure({
    reason: isOurs && error.isDenial ? 'authorization-denied' : 'unreachable',
    cluster,
    detail: error.message.replace(/\.$/, ''),
  })
}

function namedPrincipal(sasl: Sasl): string | null {
  switch (sasl.mechanism) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512':
      return typeof sasl.username === 'string' ? `User:${sasl.username}` : null
    case 'oauthbearer': {
      const subject = typeof sasl.token === 'string' ? subjectOf(sasl.token) : null
      return subject === null ? null : `User:${subject}`
    }
    case 'aws-msk-iam':
      return null
  }
}

/** Kafka's default principal: the subject in the order of RFC 2253, which reverses Node's. */
function certificatePrincipal(tls: TlsOptions | null): string | null {
  if (typeof tls?.cert !== 'string') return null
  try {
    const { subject } = new X509Certificate(tls.cert)
    return `User:${subject.split('\n').reverse().join(',')}`
  } catch {
    // The handshake will say what is wrong with the certificate.
    return null
  }
}
