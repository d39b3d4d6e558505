import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeFetchResponse, encodeFetchRequest, fetchApi } from '../../../lib/kafka/01-fetch.ts'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import { stampForProduce } from '../../../lib/kafka/produce-stamp.ts'
import { readRecordBatches } from '../../../lib/kafka/record-batch.ts'
import { expectAnswerOrRefusal, expectRefusedWhenCut } from './answers.ts'
import { buildBatch, plainCrc32c } from './batches.ts'

const topicId = '01020304-0506-4708-890a-0b0c0d0e0f10'

// All three written by Kafka 4.3.1's own FetchRequestData and FetchResponseData, in version 13.
const requestByKafka =
  'ffffffff000001f400000001020000000100000000ffffffff020102030405064708890a0b0c0d0e0f10030000000000' +
  '000005002000000000000100000004ffffffffffffffff008000000000000001ffffffff0000000000000000ffffffff' +
  'ffffffffffffffff008000000000010100'
const responseByKafka = Buffer.from(
  '00000007000000000000020102030405064708890a0b0c0d0e0f1005000000000000000000000000012c00000000000' +
    '00122000000000000000a030000000000000fa10000000000000078000000000000000fa20020000000000001' +
    '00ffffffff0000000000010000000000000000012c000000000000012c000000000000000000ffffffff0001000' +
    'd00000003000000000000006400000000020006ffffffffffffffffffffffffffffffffffffffffffffffff01fff' +
    'fffff00020109000000020000000900020d0000000000000005000000010000000003004affffffffffffffffff' +
    'ffffffffffffffffffffffffffffff01ffffffff00020109ffffffff0000000c0009030102030000',
  'hex',
)
const refusedByKafka = Buffer.from('00000000006a000000000100', 'hex')

/** A response with these records for one partition each, by the field table of 01-fetch.ts. */
function responseWith(records: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from('00000000' + '0000' + '00000000' + '02', 'hex')]
  parts.push(Buffer.from(topicId.replaceAll('-', ''), 'hex'), unsignedVarint(records.length + 1))
  for (const [partition, bytes] of records.entries()) {
    const head = Buffer.alloc(30)
    head.writeInt32BE(partition, 0)
    head.writeBigInt64BE(1_000n, 6)
    head.writeBigInt64BE(1_000n, 14)
    parts.push(head, Buffer.from('01ffffffff', 'hex'), unsignedVarint(bytes.length + 1), bytes)
    parts.push(Buffer.from('00', 'hex'))
  }
  return Buffer.concat([...parts, Buffer.from('0000', 'hex')])
}

function unsignedVarint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

describe('encodeFetchRequest', () => {
  test("a Fetch request has the bytes that Kafka's own classes write, with -1 for unknown epochs", () => {
    const writer = encodeFetchRequest({
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 32 << 20,
      isolationLevel: 'read-committed',
      topics: [
        {
          topicId,
          partitions: [
            {
              partition: 0,
              currentLeaderEpoch: 5,
              fetchOffset: 9_007_199_254_740_993n,
              lastFetchedEpoch: 4,
              partitionMaxBytes: 8 << 20,
            },
            {
              partition: 1,
              currentLeaderEpoch: null,
              fetchOffset: 0n,
              lastFetchedEpoch: null,
              partitionMaxBytes: 8 << 20,
            },
          ],
        },
      ],
    })
    expect(writer.buffer.toString('hex')).toBe(requestByKafka)
    expect(fetchApi).toEqual({ key: 1, version: 13 })
  })

  test('a read-uncommitted Fetch request differs in one byte', () => {
    const limits = { maxWaitMs: 0, minBytes: 0, maxBytes: 0, topics: [] }
    const committed = encodeFetchRequest({ ...limits, isolationLevel: 'read-committed' })
    const uncommitted = encodeFetchRequest({ ...limits, isolationLevel: 'read-uncommitted' })
    expect([committed.buffer[16], uncommitted.buffer[16]]).toEqual([1, 0])
  })

  test('a Fetch request names its session and the partitions that the session drops', () => {
    const limits = { maxWaitMs: 0, minBytes: 0, maxBytes: 0, topics: [] }
    const session = {
      sessionId: 0x01020304,
      sessionEpoch: 7,
      forgotten: [{ topicId, partitions: [5, 6] }],
    }
    const writer = encodeFetchRequest({ ...limits, isolationLevel: 'read-committed', session })
    // By the field table: limits, session, no topics, one forgotten topic, no rack.
    const expected =
      `ffffffff${'00000000'.repeat(3)}01` +
      '0102030400000007' +
      `0102${topicId.replaceAll('-', '')}03000000050000000600` +
      '0100'
    expect(writer.buffer.toString('hex')).toBe(expected)
  })

  test('a Fetch request refuses a malformed topic id instead of shifting every field behind it', () => {
    const limits = { maxWaitMs: 0, minBytes: 0, maxBytes: 0 }
    const topics = [{ topicId: 'commit-log', partitions: [] }]
    const encode = () => encodeFetchRequest({ ...limits, isolationLevel: 'read-committed', topics })
    expect(encode).toThrow(RangeError)
  })
})

describe('decodeFetchResponse', () => {
  const nothing = { abortedTransactions: [], divergingEpoch: null, currentLeader: null }
  const unknown = { highWatermark: null, lastStableOffset: null, logStartOffset: null }
  const expected = {
    throttleTimeMs: 7,
    errorCode: 0,
    sessionId: null,
    partitions: [
      {
        ...nothing,
        topicId,
        partition: 0,
        errorCode: 0,
        highWatermark: 300n,
        lastStableOffset: 290n,
        logStartOffset: 10n,
        abortedTransactions: [
          { producerId: 4001n, firstOffset: 120n },
          { producerId: 4002n, firstOffset: 9_007_199_254_740_993n },
        ],
        records: null,
      },
      {
        ...nothing,
        topicId,
        partition: 1,
        errorCode: 0,
        highWatermark: 300n,
        lastStableOffset: 300n,
        logStartOffset: 0n,
        divergingEpoch: { epoch: 3, endOffset: 100n },
        records: null,
      },
      {
        ...nothing,
        ...unknown,
        topicId,
        partition: 2,
        errorCode: 6,
        currentLeader: { leaderId: 2, leaderEpoch: 9 },
        records: null,
      },
      // The leader is unknown (-1), and a tag that did not exist when this was written is skipped.
      { ...nothing, ...unknown, topicId, partition: 3, errorCode: 74, records: null },
    ],
  }

  test("a Fetch response that Kafka's own classes wrote is decoded with its tagged fields", () => {
    expect(decodeFetchResponse(responseByKafka)).toEqual(expected)
  })

  test('a Fetch response to a refused request is decoded with its error', () => {
    expect(decodeFetchResponse(refusedByKafka)).toEqual({
      errorCode: 106,
      sessionId: null,
      partitions: [],
    })
  })

  test('records of a Fetch response keep their bytes; null and empty records are both null', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 500 }), { maxLength: 5 })
    fc.assert(
      fc.property(payloads, bytes => {
        const records = bytes.map(each => Buffer.from(each))
        const { partitions } = decodeFetchResponse(responseWith(records))
        expect(partitions.map(each => each.records?.toString('hex') ?? '')).toEqual(
          records.map(each => each.toString('hex')),
        )
        expect(partitions.some(each => each.records?.length === 0)).toBe(false)
      }),
    )
  })

  test('decoding a Fetch response copies no record', () => {
    const answer = responseWith([buildBatch(), buildBatch()])
    const { partitions } = decodeFetchResponse(answer)
    expect(partitions.map(each => each.records?.buffer === answer.buffer)).toEqual([true, true])
  })

  test('stamping the batches of one partition changes no other one', () => {
    const records = [0n, 1n, 2n].map(at => buildBatch({ baseOffset: at, payload: Buffer.alloc(9) }))
    const answer = decodeFetchResponse(responseWith(records))
    const [first, second, third] = answer.partitions.map(each => each.records)
    const [batch] = readRecordBatches(second ?? Buffer.alloc(0)).batches
    if (batch?.kind !== 'v2') throw new Error('the batch that was sent is missing')
    const stamped = stampForProduce(batch, { producerId: 1n, producerEpoch: 0, baseSequence: 5 })
    expect(stamped.readUInt32BE(17)).toBe(plainCrc32c(stamped.subarray(21)))
    expect([first, third]).toEqual([records[0], records[2]])
  })

  test('a Fetch response cut off at any byte, or with bytes behind it, is refused', () => {
    expectRefusedWhenCut(responseByKafka, decodeFetchResponse)
    expectRefusedWhenCut(responseWith([buildBatch()]), decodeFetchResponse)
    const longer = Buffer.concat([responseByKafka, Buffer.from([0])])
    expect(() => decodeFetchResponse(longer)).toThrow(DecodeError)
  })

  test('any damaged byte of a Fetch response gives a response or a DecodeError', () => {
    expectAnswerOrRefusal(responseByKafka, decodeFetchResponse)
    expectAnswerOrRefusal(responseWith([buildBatch()]), decodeFetchResponse)
  })

  test.each([
    ['a count of 2^28 topics', '00000000' + '0000' + '00000000' + 'ffffffff01', 'responses'],
    ['a varint without an end', '00000000' + '0000' + '00000000' + 'ffffffffffff', 'responses'],
    ['2^31-1 tagged fields', '00000000' + '0000' + '00000000' + '01' + 'ffffffff07', 'response'],
    [
      'a tag of 2^31-1 bytes',
      '00000000' + '0000' + '00000000' + '01' + '0105ffffffff07',
      'response',
    ],
  ])(
    'a DecodeError of a Fetch response names the field that does not fit: %s',
    (_what, hex, field) => {
      const decode = () => decodeFetchResponse(Buffer.from(hex, 'hex'))
      expect(decode).toThrow(expect.objectContaining({ api: 'Fetch', version: 13, field }))
    },
  )

  test('a known tag that is shorter than its content is refused', () => {
    // The diverging epoch of partition 1: tag 0 of 13 bytes, said to be 12.
    const at = responseByKafka.indexOf(Buffer.from('01000d00000003', 'hex')) + 2
    const damaged = Buffer.from(responseByKafka)
    damaged[at] = 12
    const decode = () => decodeFetchResponse(damaged)
    expect(decode).toThrow(expect.objectContaining({ field: 'partitions' }))
  })
})
