// Owns the byte positions of a v2 record batch, for the files that read, write and stamp a batch.
// Does not own the meaning of the fields (record-batch.ts).
//
// Source: Apache Kafka's DefaultRecordBatch (named positions, what the CRC covers), KIP-98.
//
//   at  bytes  field                    in the CRC
//    0      8  base offset              no
//    8      4  batch length             no          counts the bytes after itself
//   12      4  partition leader epoch   no
//   16      1  magic                    no          2
//   17      4  CRC-32C                  no
//   21      2  attributes               yes         0-2 codec, 3 timestamp type, 4 transactional,
//   23      4  last offset delta        yes         5 control, 6 delete horizon
//   27      8  base timestamp           yes
//   35      8  max timestamp            yes
//   43      8  producer id              yes
//   51      2  producer epoch           yes
//   53      4  base sequence            yes
//   57      4  records count            yes
//   61         records                  yes         compressed as one block

export const BATCH_LENGTH_AT = 8
export const PARTITION_LEADER_EPOCH_AT = 12
export const MAGIC_AT = 16
export const CRC_AT = 17
export const ATTRIBUTES_AT = 21
export const LAST_OFFSET_DELTA_AT = 23
export const BASE_TIMESTAMP_AT = 27
export const MAX_TIMESTAMP_AT = 35
export const PRODUCER_ID_AT = 43
export const PRODUCER_EPOCH_AT = 51
export const BASE_SEQUENCE_AT = 53
export const RECORDS_COUNT_AT = 57
/** The size of the header, which is also the size of a batch that compaction emptied. */
export const RECORDS_AT = 61

/** The bytes of base offset and batch length, which the batch length does not count. */
export const LOG_OVERHEAD = 12
/** The smallest length by magic: LegacyRecord.RECORD_OVERHEAD_V0, _V1, and the v2 header. */
export const LENGTHS_MIN = [14, 22, RECORDS_AT - LOG_OVERHEAD] as const

export const CODEC_MASK = 0x07
export const LOG_APPEND_TIME_BIT = 0x08
export const TRANSACTIONAL_BIT = 0x10
export const CONTROL_BIT = 0x20
export const DELETE_HORIZON_BIT = 0x40

/** The codecs by their number in the attributes (CompressionType). */
export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type CompressionCodec = (typeof codecs)[number]
