// Lets kafkajs read and write all five codecs of Kafka, with the implementations of
// another client. Importing this file registers them. Not used by anything but tests:
// gapless opens a compressed batch only to write it anew.

import { compressionsAlgorithms } from '@platformatic/kafka'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'

const { CompressionCodecs, CompressionTypes } = kafkajs

const registered = { Snappy: 'snappy', LZ4: 'lz4', ZSTD: 'zstd' } as const

for (const [type, name] of Object.entries(registered) as [keyof typeof registered, 'lz4'][]) {
  const algorithm = compressionsAlgorithms[name]
  CompressionCodecs[CompressionTypes[type]] = () => ({
    compress: async (encoder: { buffer: Buffer }) => algorithm.compressSync(encoder.buffer),
    decompress: async (bytes: Buffer) => algorithm.decompressSync(bytes),
  })
}

/** Every codec a producer may use, by the name in Kafka's configuration. */
export const codecTypes = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
