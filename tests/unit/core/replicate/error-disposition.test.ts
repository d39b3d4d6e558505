import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { dispositionOf, mayHaveAppended } from '../../../../lib/core/replicate/error-disposition.ts'
import { type ErrorName, errorCode } from '../../../../lib/kafka/error-codes.ts'

const names = Object.keys(errorCode) as ErrorName[]

describe('the error policy', () => {
  test("names only errors that Kafka has: a misspelt one would fail a partition's run for nothing", () => {
    const file = readFileSync(
      new URL('../../../../lib/core/replicate/error-disposition.ts', import.meta.url),
      'utf8',
    )
    const keys = [...file.matchAll(/^\s+'?([A-Z][A-Z_]+)'?[:,]/gm)].map(match => match[1])
    expect(keys.length).toBeGreaterThan(30)
    for (const key of keys) expect(names).toContain(key)
  })

  test('has an answer for every error Kafka has, and fails loudly for one it does not know', () => {
    for (const request of ['fetch', 'produce'] as const) {
      for (const name of names) expect(dispositionOf(request, name)).toMatch(/./)
      expect(dispositionOf(request, 'UNKNOWN(999)')).toBe('fail')
      expect(dispositionOf(request, 'NONE')).toBe('fail')
    }
  })

  test('an error about identity, leader or range leads to another observation', () => {
    expect(dispositionOf('fetch', 'UNKNOWN_TOPIC_ID')).toBe('observe')
    expect(dispositionOf('fetch', 'FENCED_LEADER_EPOCH')).toBe('observe')
    expect(dispositionOf('fetch', 'OFFSET_OUT_OF_RANGE')).toBe('observe-out-of-range')
    expect(dispositionOf('produce', 'OFFSET_OUT_OF_RANGE')).toBe('fail')
  })

  test('a batch that the target would refuse again is never sent again', () => {
    for (const name of ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']) {
      expect(dispositionOf('produce', name)).toBe('halt-too-large')
    }
    for (const name of ['INVALID_RECORD', 'INVALID_TIMESTAMP', 'CORRUPT_MESSAGE']) {
      expect(dispositionOf('produce', name)).toBe('halt-unsupported')
    }
  })

  test('a missing permission is retried on the next tick, on both sides', () => {
    for (const request of ['fetch', 'produce'] as const) {
      expect(dispositionOf(request, 'TOPIC_AUTHORIZATION_FAILED')).toBe('denied')
    }
  })

  test('a fenced epoch or a lost sequence ends the use of the producer', () => {
    for (const error of [
      'INVALID_PRODUCER_EPOCH',
      'PRODUCER_FENCED',
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      'DUPLICATE_SEQUENCE_NUMBER',
      'UNKNOWN_PRODUCER_ID',
    ]) {
      expect(dispositionOf('produce', error)).toBe('recover')
    }
  })
})

describe('a refused produce', () => {
  test('a refused produce may have been appended when the leader missed its replicas or timed out', () => {
    expect(names.filter(mayHaveAppended).sort()).toEqual([
      'KAFKA_STORAGE_ERROR',
      'NETWORK_EXCEPTION',
      'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
      'NOT_LEADER_OR_FOLLOWER',
      'REQUEST_TIMED_OUT',
      'UNKNOWN_SERVER_ERROR',
    ])
  })
})
