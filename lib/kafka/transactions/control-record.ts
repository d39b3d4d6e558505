// Owns reading a control record: its type, and the coordinator epoch in a marker. Brokers write
// control records, one per control batch, to mark the end of a transaction or a change of the KRaft
// leader. Does not own the batch around it (record-batch.ts).
//
//   record  length VARINT | attributes INT8 | timestamp delta VARLONG | offset delta VARINT
//           | key length VARINT | key | value length VARINT | value | headers
//   key     version INT16 | type INT16
//   value   version INT16 | coordinator epoch INT32, where the record is a marker
//
// Source: Kafka's DefaultRecord, ControlRecordType, EndTransactionMarker; KIP-98.

import { DecodeError } from '../decode-error.ts'
import { createWireReader } from '../wire-reader.ts'

export const ABORT_TYPE = 0
export const COMMIT_TYPE = 1

const KEY_BYTES_MIN = 4
const MARKER_BYTES_MIN = 6

/**
 * Reads the type of the first control record of an uncompressed batch whose records begin at byte
 * `recordsAt`. Higher key versions only add fields, so every version from 0 on is read as version 0
 * (ControlRecordType). Throws DecodeError when there is no such record.
 */
export function readControlType(batch: Buffer, recordsAt: number): number {
  return readKey(batch, recordsAt).type
}

/**
 * The epoch of the coordinator that wrote the marker there (EndTxnMarker, version 0 and later). The
 * leader refuses a marker of the same producer with a lower one
 * (ProducerAppendInfo.checkCoordinatorEpoch). Throws DecodeError when the record holds none.
 */
export function readCoordinatorEpoch(batch: Buffer, recordsAt: number): number {
  const { reader } = readKey(batch, recordsAt)
  const value = reader.readBytes('value', reader.readVarint('valueLength'))
  const version = value.length < MARKER_BYTES_MIN ? null : value.readInt16BE(0)
  if (version === null || version < 0) throw damaged('value', recordsAt, value, version)
  return value.readInt32BE(2)
}

function readKey(batch: Buffer, recordsAt: number) {
  const reader = createWireReader({
    api: 'ControlRecord',
    version: 0,
    bytes: batch,
    at: recordsAt,
  })
  reader.readVarint('length')
  reader.readInt8('attributes')
  reader.skipVarlong('timestampDelta')
  reader.readVarint('offsetDelta')
  const key = reader.readBytes('key', reader.readVarint('keyLength'))
  const version = key.length < KEY_BYTES_MIN ? null : key.readInt16BE(0)
  if (version === null || version < 0) throw damaged('key', recordsAt, key, version)
  return { reader, type: key.readInt16BE(2) }
}

function damaged(field: string, at: number, bytes: Buffer, version: number | null): DecodeError {
  const found = version === null ? `${bytes.length} bytes` : `version ${version}`
  return new DecodeError({ api: 'ControlRecord', version: 0, field, at, found })
}
