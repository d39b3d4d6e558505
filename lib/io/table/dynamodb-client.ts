// Owns the client of DynamoDB: endpoint, credentials, time-outs and retries. Does not own the
// requests (table-request.ts).

import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import { redactUrls } from '../../core/redact-url.ts'
import { ReplicatorError } from '../failure/replicator-error.ts'

/**
 * Attempts per request, the first one included. Three time-outs and the SDK's back-off (3 s at
 * most, when throttled) take less than a lease of 20 s, so an owner knows the outcome of a renewal
 * while it still has the lease.
 */
export const requestAttemptsMax = 3

// DynamoDB answers in milliseconds, LocalStack within a second when it is busy. LocalStack's very
// first response takes 5 s, and the second attempt receives it. Also the longest pause within a
// response.
const requestTimeoutMs = 5_000

// Counts as part of the request's time; a handshake within a region takes milliseconds.
const connectTimeoutMs = 2_000

// The SDK's own default, written down because writes in flight are bounded below it
// (core/config/defaults.ts).
const socketsMax = 50

/** A local endpoint needs some region in the signature and accepts any. */
const regionOfEndpoint = 'us-east-1'

export type AwsEnvironment = Readonly<Record<string, string | undefined>>

/**
 * Creates a client for the table. The SDK finds by its own rules (shared configuration files,
 * roles) whatever `env` does not set. Throws `ReplicatorError` for an endpoint that is no URL.
 */
export function createDynamoDbClient(env: AwsEnvironment): DynamoDBClient {
  const endpoint = endpointOf(env)
  // An empty variable counts as unset.
  const region = env.AWS_REGION || (endpoint === null ? undefined : regionOfEndpoint)
  const credentials = credentialsOf(env)
  return new DynamoDBClient({
    ...(endpoint === null ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === null ? {} : { credentials }),
    maxAttempts: requestAttemptsMax,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      socketTimeout: requestTimeoutMs,
      // Without this option a time-out is only a warning, and a lost response would be awaited
      // until the lease is gone.
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: socketsMax },
      httpsAgent: { keepAlive: true, maxSockets: socketsMax },
    },
  })
}

function endpointOf(env: AwsEnvironment): string | null {
  for (const name of ['AWS_ENDPOINT_URL_DYNAMODB', 'AWS_ENDPOINT_URL']) {
    const value = env[name]
    if (!value) continue
    // `localhost:4566` parses, as the scheme `localhost:`.
    if (/^https?:\/\//.test(value) && URL.canParse(value)) return value
    throw new ReplicatorError({
      code: 'table-unreachable',
      message: `${name} is ${JSON.stringify(redactUrls(value))}, expected a URL such as http://127.0.0.1:4566.`,
      hint: `Correct ${name}, or unset it to use AWS.`,
    })
  }
  return null
}

/** The keys in `env`; null when a profile is set, which the SDK looks up. */
function credentialsOf(
  env: AwsEnvironment,
): NonNullable<DynamoDBClientConfig['credentials']> | null {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env
  if (env.AWS_PROFILE || !accessKeyId || !secretAccessKey) return null
  const sessionToken = env.AWS_SESSION_TOKEN
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) }
}

/** Where a client sends its requests, for a person: the endpoint if one is set, or the region. */
export async function describeEndpoint(client: DynamoDBClient): Promise<string> {
  const endpoint = await client.config.endpoint?.()
  if (endpoint !== undefined) {
    const port = endpoint.port === undefined ? '' : `:${endpoint.port}`
    return `${endpoint.protocol}//${endpoint.hostname}${port}`
  }
  try {
    return `region ${await client.config.region()}`
  } catch {
    // The SDK throws when no region is set.
    return 'no region'
  }
}
