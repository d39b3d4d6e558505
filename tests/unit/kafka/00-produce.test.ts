import { describe, expect, test } from 'vitest'
import {
  decodeProduceResponse,
  encodeProduceRequest,
  produceApi,
} from '../../../lib/kafka/00-produce.ts'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import { expectAnswerOrRefusal, expectRefusedWhenCut } from './answers.ts'

// Both written by Kafka 4.3.1's own ProduceRequestData and ProduceResponseData, in version 9.
const requestByKafka =
  '00ffff0000753003137072696d6172792e636f6d6d69742d6c6f6703000000000601020304050000000003020900' +
  `0006636166c3a90200000001c901${'00'.repeat(200)}000000`
const responseByKafka = Buffer.from(
  '02137072696d6172792e636f6d6d69742d6c6f67040000000000000020000000000001ffffffffffffffff00000000' +
    '00000000010000000000010057ffffffffffffffffffffffffffffffffffffffffffffffff0300000002076e6f206b' +
    '657900000000040000274f6e65206f72206d6f7265207265636f7264732068617665206265656e2072656a65637465' +
    '640000000002000000000000000000050000018bcfe568000000000000000003010000000000000b00',
  'hex',
)

describe('encodeProduceRequest', () => {
  test("a Produce request has the bytes that Kafka's own classes write", () => {
    const records = Buffer.from([1, 2, 3, 4, 5])
    const writer = encodeProduceRequest({
      acks: -1,
      timeoutMs: 30_000,
      topics: [
        {
          name: 'primary.commit-log',
          partitions: [
            { partition: 0, records },
            { partition: 3, records: Buffer.from([9]) },
          ],
        },
        { name: 'café', partitions: [{ partition: 1, records: Buffer.alloc(200) }] },
      ],
    })
    expect(writer.buffer.toString('hex')).toBe(requestByKafka)
    expect(produceApi).toEqual({ key: 0, version: 9 })
  })

  test('a Produce request references its records without copying them', () => {
    const records = Buffer.from([1, 2, 3])
    const topics = [{ name: 't', partitions: [{ partition: 0, records }] }]
    const writer = encodeProduceRequest({ acks: -1, timeoutMs: 1, topics })
    expect(writer.buffers).toContain(records)
  })

  test('a Produce request refuses a partition without records', () => {
    const topics = [{ name: 't', partitions: [{ partition: 0, records: Buffer.alloc(0) }] }]
    expect(() => encodeProduceRequest({ acks: -1, timeoutMs: 1, topics })).toThrow()
  })
})

describe('decodeProduceResponse', () => {
  const expected = {
    throttleTimeMs: 11,
    partitions: [
      {
        topic: 'primary.commit-log',
        partition: 0,
        errorCode: 0,
        baseOffset: 9_007_199_254_740_993n,
        logAppendTimeMs: null,
        logStartOffset: 0n,
        errorMessage: null,
      },
      {
        topic: 'primary.commit-log',
        partition: 1,
        errorCode: 87,
        baseOffset: null,
        logAppendTimeMs: null,
        logStartOffset: null,
        errorMessage: 'One or more records have been rejected; record 2 of the batch: no key',
        refusedRecord: 2,
      },
      {
        topic: 'primary.commit-log',
        partition: 2,
        errorCode: 0,
        baseOffset: 5n,
        logAppendTimeMs: 1_700_000_000_000n,
        logStartOffset: 3n,
        errorMessage: null,
      },
    ],
  }

  test("a Produce response that Kafka's own classes wrote is decoded field by field", () => {
    expect(decodeProduceResponse(responseByKafka)).toEqual(expected)
  })

  test('the first refused record of a batch is the one with the smallest index', () => {
    // Index 2, the reason, no tagged fields. One more record error stands in front of it.
    const named = Buffer.from('00000002076e6f206b657900', 'hex')
    const at = responseByKafka.indexOf(named)
    const seventh = Buffer.from(named)
    seventh.writeInt32BE(7, 0)
    const several = Buffer.concat([
      responseByKafka.subarray(0, at - 1),
      Buffer.of(1 + 3),
      seventh,
      responseByKafka.subarray(at),
    ])
    expect(decodeProduceResponse(several)).toEqual(expected)
  })

  test('a Produce response cut off at any byte, or with bytes behind it, is refused', () => {
    expectRefusedWhenCut(responseByKafka, decodeProduceResponse)
    const longer = Buffer.concat([responseByKafka, Buffer.from([0])])
    expect(() => decodeProduceResponse(longer)).toThrow(DecodeError)
  })

  test('any damaged byte of a Produce response gives a response or a DecodeError', () => {
    expectAnswerOrRefusal(responseByKafka, decodeProduceResponse)
  })
})
