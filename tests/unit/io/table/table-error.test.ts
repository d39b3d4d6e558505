import { describe, expect, test } from 'vitest'
import { tableError } from '../../../../lib/io/table/table-error.ts'

const request = {
  table: 'gapless',
  endpoint: 'region eu-west-1',
  operation: 'Query',
  purpose: 'listing the checkpoints of flow f',
}

function failure(properties: Record<string, unknown>, message = 'because'): Error {
  return Object.assign(new Error(message), properties)
}

describe('tableError', () => {
  test('an error of the SDK becomes one line that names table, endpoint, request, purpose and reason, with its cause', () => {
    const cause = failure({ name: 'TimeoutError' })
    const error = tableError(request, cause)
    expect(error.message).toBe(
      'DynamoDB Query on table gapless at region eu-west-1 failed while listing the checkpoints of flow f: because',
    )
    expect(error.cause).toBe(cause)
  })

  test.each([
    [failure({ name: 'CredentialsProviderError' }), 'table-denied', 'AWS_ACCESS_KEY_ID'],
    [failure({ name: 'ExpiredTokenException' }), 'table-denied', 'AWS_PROFILE'],
    [failure({ name: 'TimeoutError' }), 'table-unreachable', 'AWS_REGION'],
    [failure({ code: 'ENOTFOUND' }), 'table-unreachable', 'AWS_REGION'],
    [failure({ code: 'CERT_HAS_EXPIRED' }), 'table-unreachable', 'AWS_REGION'],
    [failure({ name: 'X', $metadata: { httpStatusCode: 503 } }), 'table-overloaded', 'again'],
    [failure({ name: 'X', $metadata: { httpStatusCode: 400 } }), 'table-refused', 'keys pk'],
    [failure({ $metadata: {} }), 'table-refused', 'keys pk'],
    ['a string', 'table-refused', 'keys pk'],
  ])('the error %s of the SDK is %s, and its hint says what to check', (cause, code, hint) => {
    const error = tableError(request, cause)
    expect(error.code).toBe(code)
    expect(error.hint).toContain(hint)
  })

  test('the error of a missing region says which variable to set', () => {
    const error = tableError(
      { ...request, endpoint: 'no region' },
      failure({}, 'Region is missing'),
    )
    expect(error.code).toBe('table-unreachable')
    expect(error.hint).toContain('Set AWS_REGION')
  })

  test('an error text of several lines is cut to the first line', () => {
    const cause = failure({}, 'timed out\n  Deserialization error: inspect {error}.$response')
    expect(tableError(request, cause).message).toMatch(/: timed out$/)
  })

  test('a response that is not of DynamoDB is reported with its HTTP status', () => {
    const cause = failure({ $metadata: { httpStatusCode: 403 } }, 'UnknownError')
    const error = tableError(request, cause)
    expect(error.message).toMatch(/: a response with HTTP status 403$/)
    expect(error.hint).toContain('DynamoDB answers there')
  })

  test('an error of several addresses without a text of its own is reported with its code', () => {
    const cause = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })
    expect(tableError(request, cause).message).toMatch(/: ECONNREFUSED$/)
  })
})
