// Owns the error for an operator when DynamoDB cannot be used: what each error of the SDK means,
// and what to check next. The SDK has retried by then whatever is worth a retry.

import {
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb'
import { ReplicatorError, type ReplicatorErrorCode } from '../failure/replicator-error.ts'

type TableErrorCode = Extract<ReplicatorErrorCode, `table-${string}`>

export type TableRequest = {
  readonly table: string
  /** The result of `describeEndpoint`. */
  readonly endpoint: string
  /** The API's name of the request, as it appears in IAM policies: `UpdateItem`. */
  readonly operation: string
  /** The purpose, which follows "while": `taking the lease of commit-log-0`. */
  readonly purpose: string
}

/** Makes an error of the SDK the error that ends a run. */
export function tableError(request: TableRequest, error: unknown): ReplicatorError {
  const { table, endpoint, operation, purpose } = request
  const code = codeOf(error)
  return new ReplicatorError({
    code,
    message:
      `DynamoDB ${operation} on table ${table} at ${endpoint} failed while ${purpose}: ` +
      `${textOf(error)}`,
    hint: hintOf(code, request),
    cause: error,
  })
}

const codeOfName: Readonly<Record<string, TableErrorCode>> = {
  ResourceNotFoundException: 'table-missing',
  CredentialsProviderError: 'table-denied',
  TokenProviderError: 'table-denied',
  AccessDeniedException: 'table-denied',
  ExpiredTokenException: 'table-denied',
  IncompleteSignatureException: 'table-denied',
  InvalidSignatureException: 'table-denied',
  MissingAuthenticationTokenException: 'table-denied',
  UnrecognizedClientException: 'table-denied',
  TimeoutError: 'table-unreachable',
  ThrottlingException: 'table-overloaded',
  ProvisionedThroughputExceededException: 'table-overloaded',
  RequestLimitExceeded: 'table-overloaded',
  LimitExceededException: 'table-overloaded',
  TransactionConflictException: 'table-overloaded',
  TransactionInProgressException: 'table-overloaded',
}

/** Why a transaction was canceled that may succeed when it is sent again; nothing was written. */
const passingReasons: readonly (string | undefined)[] = [
  'TransactionConflict',
  'ThrottlingError',
  'ProvisionedThroughputExceeded',
]

/**
 * True when a request met a transaction on the same row, or was throttled as a part of one: the SDK
 * repeats neither. A condition that does not hold is none of both.
 */
export function isConflict(error: unknown): boolean {
  if (error instanceof TransactionConflictException) return true
  if (!(error instanceof TransactionCanceledException)) return false
  const codes = (error.CancellationReasons ?? []).map(each => each.Code)
  return (
    !codes.includes('ConditionalCheckFailed') && codes.some(code => passingReasons.includes(code))
  )
}

function codeOf(error: unknown): TableErrorCode {
  if (!(error instanceof Error)) return 'table-refused'
  const named = codeOfName[error.name]
  if (named !== undefined) return named
  if (isConflict(error)) return 'table-overloaded'
  // The SDK gives this error no name of its own.
  if (error.message === 'Region is missing') return 'table-unreachable'
  const status = statusOf(error)
  if (status === null) return isNetworkError(error) ? 'table-unreachable' : 'table-refused'
  return status >= 500 ? 'table-overloaded' : 'table-refused'
}

/** The HTTP status of the response; null when there was none. */
function statusOf(error: Error): number | null {
  if (!('$metadata' in error) || typeof error.$metadata !== 'object') return null
  const status = (error.$metadata as { httpStatusCode?: unknown } | null)?.httpStatusCode
  return typeof status === 'number' ? status : null
}

/**
 * Node's network and TLS errors carry a code: ECONNREFUSED, ENOTFOUND, CERT_HAS_EXPIRED, EPROTO.
 */
function isNetworkError(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string'
}

function hintOf(code: TableErrorCode, { table, endpoint, operation }: TableRequest): string {
  switch (code) {
    case 'table-missing':
      return `run: gapless init (or set GAPLESS_TABLE to the table's name, if it is not ${table})`
    case 'table-unreachable':
      if (endpoint === 'no region') return 'Set AWS_REGION, or AWS_ENDPOINT_URL for a local stack.'
      return endpoint.startsWith('region ')
        ? 'Check AWS_REGION and the network path to AWS; for a local stack set AWS_ENDPOINT_URL.'
        : `Check that DynamoDB listens at ${endpoint} (AWS_ENDPOINT_URL).`
    case 'table-denied':
      return (
        'Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (any two values do for a local ' +
        `endpoint), and that they allow dynamodb:${operation} on the table.`
      )
    case 'table-overloaded':
      return 'Nothing was lost: run the command again. If it fails again, look for throttling in the metrics of the table.'
    case 'table-refused':
      return (
        `Check that DynamoDB answers there, and that ${table} is the table of gapless: keys pk (hash) ` +
        'and sk (range), both strings.'
      )
  }
}

/**
 * The first line of the error's text: the SDK's advice follows it. An AggregateError (several
 * addresses) has a code and no text.
 */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const [line = ''] = error.message.split('\n')
  const text = line || code || error.name
  // A response that is not DynamoDB's, a proxy's page for instance, has only a status.
  const status = statusOf(error)
  return text === 'UnknownError' && status !== null ? `a response with HTTP status ${status}` : text
}
