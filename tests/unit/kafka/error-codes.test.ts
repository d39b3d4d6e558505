import { protocolErrors } from '@platformatic/kafka'
import { describe, expect, test } from 'vitest'
import { errorCode, errorName } from '../../../lib/kafka/error-codes.ts'

describe('error codes', () => {
  test("the error codes of Fetch and Produce are Kafka's", () => {
    expect(errorName(0)).toBe('NONE')
    expect(errorName(-1)).toBe('UNKNOWN_SERVER_ERROR')
    expect(errorName(1)).toBe('OFFSET_OUT_OF_RANGE')
    expect(errorName(100)).toBe('UNKNOWN_TOPIC_ID')
    expect(errorCode.INVALID_PRODUCER_EPOCH).toBe(47)
    expect(errorCode.OUT_OF_ORDER_SEQUENCE_NUMBER).toBe(45)
  })

  test('the error codes agree with the table of another client', () => {
    const theirs = Object.entries(protocolErrors).map(([name, error]) => [name, error.code])
    const ours = Object.entries(errorCode)
    expect(theirs.length).toBeGreaterThan(100)
    expect(ours).toEqual(expect.arrayContaining(theirs.filter(([name]) => name !== 'UNKNOWN')))
  })

  test('the error codes cover every code from -1 to 133 once', () => {
    const codes = Object.values(errorCode).sort((left, right) => left - right)
    expect(codes).toEqual(Array.from({ length: 135 }, (_, at) => at - 1))
  })

  test('a code that is not in the table keeps its number', () => {
    expect(errorName(999)).toBe('UNKNOWN(999)')
  })
})
