import { expect, test } from 'vitest'
import {
  decodeTxnMarkersResponse,
  encodeTxnMarkersRequest,
  writeTxnMarkersApi,
} from '../../../../lib/kafka/transactions/27-write-txn-markers.ts'
import { expectAnswerOrRefusal, expectRefusedWhenCut } from '../answers.ts'

// Written by Kafka 4.3.1's own WriteTxnMarkersRequestData and WriteTxnMarkersResponseData, in
// version 1.
const markerByKafka = '0020000000000001000700' + '0206636166c3a90200000003000000000500'
const responseByKafka = Buffer.from(
  '0200200000000000010206636166c3a90300000003002f0000000004000000000000',
  'hex',
)

const request = {
  producerId: 9_007_199_254_740_993n,
  producerEpoch: 7,
  coordinatorEpoch: 5,
  topic: 'café',
  partition: 3,
}

test("a request has the bytes that Kafka's own classes write, a marker for each offset", () => {
  const two = encodeTxnMarkersRequest({ ...request, count: 2 })
  expect(two.buffer.toString('hex')).toBe(`03${markerByKafka}${markerByKafka}00`)
  const none = encodeTxnMarkersRequest({ ...request, count: 0 })
  expect(none.buffer.toString('hex')).toBe('0100')
  expect(writeTxnMarkersApi).toEqual({ key: 27, version: 1 })
})

test('a request of a negative number of markers is a bug', () => {
  expect(() => encodeTxnMarkersRequest({ ...request, count: -1 })).toThrow()
})

test('the answer for each partition is read', () => {
  const at = { producerId: request.producerId, topic: 'café' }
  expect(decodeTxnMarkersResponse(responseByKafka)).toEqual({
    partitions: [
      { ...at, partition: 3, errorCode: 47 },
      { ...at, partition: 4, errorCode: 0 },
    ],
  })
  expect(decodeTxnMarkersResponse(Buffer.from('0100', 'hex'))).toEqual({ partitions: [] })
})

test('a response that is cut off or damaged is read or refused, and never throws anything else', () => {
  expectRefusedWhenCut(responseByKafka, decodeTxnMarkersResponse)
  expectAnswerOrRefusal(responseByKafka, decodeTxnMarkersResponse)
})
