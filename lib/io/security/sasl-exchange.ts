// Owns the SASL handshake of every connection: the library's own exchanges, with two changes. A
// broker may limit a session (connections.max.reauth.ms, the lifetime of a token). The library
// would then authenticate again on the same connection, which counts as closed meanwhile and is
// never closed; instead the limit goes to connection.ts, which opens another connection in time.
// And a refused token is an error here, which the library overlooks.

import {
  AuthenticationError,
  type SASLOptions,
  saslOAuthBearer,
  saslPlain,
  saslScramSha,
} from '@platformatic/kafka'
import type { SaslCredentials } from './cluster-security.ts'

const UNLIMITED = 0n

/** Calls `limited` with the session lifetime, ms, when the broker states one (KIP-368). */
export function saslOptions(
  credentials: SaslCredentials,
  limited: (sessionMs: number) => void,
): SASLOptions {
  return {
    mechanism: credentials.mechanism,
    authenticate(_mechanism, connection, send, _username, _password, _token, callback) {
      const done: typeof callback = (error, answer) => {
        if (error || answer === undefined) return callback(error, answer)
        const refusal = refusalIn(credentials, answer.authBytes)
        if (refusal !== null) return callback(refusal, answer)
        if (answer.sessionLifetimeMs > UNLIMITED) limited(Number(answer.sessionLifetimeMs))
        callback(null, { ...answer, sessionLifetimeMs: UNLIMITED })
      }
      switch (credentials.mechanism) {
        case 'PLAIN': {
          const { username, password } = credentials
          saslPlain.authenticate(send, connection, username, password, done)
          return
        }
        case 'OAUTHBEARER':
          saslOAuthBearer.authenticate(send, connection, credentials.token, {}, done)
          return
        case 'SCRAM-SHA-256':
        case 'SCRAM-SHA-512': {
          const { mechanism, username, password } = credentials
          const hash = mechanism === 'SCRAM-SHA-256' ? 'SHA-256' : 'SHA-512'
          const { defaultCrypto } = saslScramSha
          saslScramSha.authenticate(send, connection, hash, username, password, defaultCrypto, done)
        }
      }
    },
  }
}

function refusalIn(
  { mechanism }: SaslCredentials,
  authBytes: Buffer | null | undefined,
): AuthenticationError | null {
  const reason = mechanism === 'OAUTHBEARER' ? bearerRefusal(authBytes) : null
  return reason === null ? null : new AuthenticationError(reason)
}

/**
 * Why the broker refused a token; null when it accepted it. A refusal is a challenge with a JSON
 * object (RFC 7628, section 3.2.2), and success is an empty response.
 */
function bearerRefusal(authBytes: Buffer | null | undefined): string | null {
  if (authBytes === null || authBytes === undefined || authBytes.length === 0) return null
  const status = /"status"\s*:\s*"(\w+)"/.exec(authBytes.toString('utf8'))?.[1]
  return `the broker does not accept the token (${status ?? 'no reason given'})`
}
