// Owns bearer tokens from a token endpoint, and what a token says of its bearer. Does not own the
// tokens of Amazon MSK (msk-token.ts) nor how a token is sent to a broker (sasl-exchange.ts).

import type { ClientCredentials } from '../../core/config/cluster-config.ts'
import { redactUrls } from '../../core/redact-url.ts'
import { CredentialError } from '../failure/credential-error.ts'

/**
 * A token, and until when new connections may use it (Unix time, ms); null: only the connection
 * that it was obtained for may use it.
 */
export type BearerToken = { readonly token: string; readonly freshUntilMs: number | null }

const REQUEST_TIMEOUT_MS = 5_000
/** The fraction of a token's lifetime in which it is used: the rest is left for the handshake. */
const FRESH_SHARE = 0.8
/** A token response has a few kilobytes; a larger one is some other page. */
const ANSWER_CHARACTERS_MAX = 64 * 1024

export type ResolvedCredentials = Record<'clientId' | 'clientSecret', string> &
  Pick<ClientCredentials, 'url' | 'scope'>

/**
 * Gets a token for OAuth 2.0 client credentials (RFC 6749, section 4.4), by HTTP Basic (section
 * 2.3.1) as Kafka's own client does (KIP-768). Throws `CredentialError`, which contains nothing of
 * the request or the response but the error code of section 5.2.
 */
export async function fetchToken(from: ResolvedCredentials, nowMs: number): Promise<BearerToken> {
  const { url, clientId, clientSecret, scope } = from
  const pair = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(scope ? { scope } : {}),
  })
  const where = `token endpoint ${redactUrls(url)}`
  let answer: { status: number; body: string }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
        accept: 'application/json',
      },
      body,
      // A redirect would send the secret to an endpoint that the configuration does not name.
      redirect: 'error',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    })
    answer = { status: response.status, body: await response.text() }
  } catch (error) {
    throw new CredentialError(`${where} does not answer (${reasonOf(error)})`, false)
  }
  const fields = fieldsOf(answer.body)
  const { access_token: token, expires_in: seconds } = fields
  if (answer.status !== 200 || typeof token !== 'string' || token === '') {
    const code = errorCode(fields)
    const said = `answered ${answer.status}${code === null ? '' : ` ${code}`} and no token`
    throw new CredentialError(`${where} ${said}`, answer.status < 500)
  }
  const lifeMs = typeof seconds === 'number' && seconds > 0 ? seconds * 1_000 : 0
  return { token, freshUntilMs: nowMs + lifeMs * FRESH_SHARE }
}

/** `sub` of a JSON Web Token, unverified: only for the name that operators read. */
export function subjectOf(token: string): string | null {
  const [, payload = ''] = token.split('.')
  const { sub } = fieldsOf(Buffer.from(payload, 'base64url').toString('utf8'))
  return typeof sub === 'string' && sub !== '' ? sub : null
}

/** The fields of a JSON object; no fields for any other text. */
function fieldsOf(text: string): Record<string, unknown> {
  if (text.length > ANSWER_CHARACTERS_MAX) return {}
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch {
    return {}
  }
}

/** A code of RFC 6749, section 5.2. Any other text might be our secret sent back. */
function errorCode({ error }: Record<string, unknown>): string | null {
  const known = [
    'invalid_request',
    'invalid_client',
    'invalid_grant',
    'unauthorized_client',
    'unsupported_grant_type',
    'invalid_scope',
  ]
  return typeof error === 'string' && known.includes(error) ? error : null
}

/** The error of fetch says only `fetch failed`; its cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code
  return cause instanceof Error ? cause.name : 'no error'
}
