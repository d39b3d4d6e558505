// Owns the connection to DynamoDB: where it is, who we are, how long an answer may take and how
// often it is asked for. Does not own the requests (table-request.ts).

import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import { ReplicatorError } from '../failure/replicator-error.ts'

/**
 * Requests for one answer, the first one included. Three time-outs and the SDK's back-off (3 s at
 * most, when throttled) take less than a lease of 20 s: an owner knows the fate of its renewal
 * while the lease is still its own.
 */
export const requestAttemptsMax = 3

// DynamoDB answers in milliseconds, LocalStack within a second when it is busy; its very first
// answer takes 5 s, which the second attempt gets. Also the longest silence within an answer.
const requestTimeoutMs = 5_000

// Part of the request's time; a handshake within a region takes milliseconds.
const connectTimeoutMs = 2_000

// The SDK's own number, written down because writes in flight are bounded
// below it (core/config/defaults.ts).
const socketsMax = 50

/** `http://127.0.0.1:8000` needs a region to sign with and does not care which one. */
const regionOfEndpoint = 'us-east-1'

export type AwsEnvironment = Readonly<Record<string, string | undefined>>

/**
 * A client for the table. What `env` does not say, the SDK finds by its own rules (shared
 * configuration files, roles). Throws `ReplicatorError` for an endpoint that is no URL.
 */
export function createDynamoDbClient(env: AwsEnvironment): DynamoDBClient {
  const endpoint = endpointOf(env)
  // Empty variables are what a shell leaves behind for unset ones.
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
      // Without it a time-out is only a warning, and a lost answer would be waited
      // for until the lease is gone.
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
      message: `${name} is ${JSON.stringify(value)}, expected a URL such as http://127.0.0.1:4566.`,
      hint: `Correct ${name}, or unset it to use AWS.`,
    })
  }
  return null
}

/** The keys of `env`, unless a profile was asked for, which the SDK looks up. */
function credentialsOf(
  env: AwsEnvironment,
): NonNullable<DynamoDBClientConfig['credentials']> | null {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env
  if (env.AWS_PROFILE || !accessKeyId || !secretAccessKey) return null
  const sessionToken = env.AWS_SESSION_TOKEN
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) }
}

/**
 * Where a client sends its requests, for a person: the endpoint when one
 * was set, otherwise the region.
 */
export async function describeEndpoint(client: DynamoDBClient): Promise<string> {
  const endpoint = await client.config.endpoint?.()
  if (endpoint !== undefined) {
    const port = endpoint.port === undefined ? '' : `:${endpoint.port}`
    return `${endpoint.protocol}//${endpoint.hostname}${port}`
  }
  try {
    return `region ${await client.config.region()}`
  } catch {
    // The SDK throws when there is none, and that is exactly what is to be said.
    return 'no region'
  }
}
