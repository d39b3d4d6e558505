// Owns reading the type of a control record. Brokers write control records, one per control batch,
// to mark the end of a transaction or a change of the KRaft leader. Does not own the batch around
// it (record-batch.ts).
//
//   record  length VARINT | attributes INT8 | timestamp delta VARLONG | offset delta VARINT
//           | key length VARINT | key | value length VARINT | value | headers
//   key     version INT16 | type INT16
//
// Source: Kafka's DefaultRecord, ControlRecordType, EndTransactionMarker; KIP-98.

import { DecodeError } from './decode-error.ts'
import { createWireReader } from './wire-reader.ts'

export const ABORT_TYPE = 0
export const COMMIT_TYPE = 1

const KEY_BYTES_MIN = 4

/**
 * Reads the type of the first control record of an uncompressed batch whose records begin at byte
 * `recordsAt`. Higher key versions only add fields, so every version from 0 on is read as version 0
 * (ControlRecordType). Throws DecodeError when there is no such record.
 */
export function readControlType(batch: Buffer, recordsAt: number): number {
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
  if (version === null || version < 0) {
    const found = version === null ? `${key.length} bytes` : `version ${version}`
    throw new DecodeError({ api: 'ControlRecord', version: 0, field: 'key', at: recordsAt, found })
  }
  return key.readInt16BE(2)
}
