// Owns the check of a copy: the same records in the same order, partition by partition, read by a
// client that wrote neither side (verify-part.ts). A figure counts only if its copy passes. Offsets
// may differ: MirrorMaker 2 does not preserve them.

import { startPart } from '../../part.ts'
import type { PartitionChecksum, ReadOrder, ReadReport } from './verify-part.ts'

/** Reads from the present log start to the present log end; by partition, 0 to `partitions` - 1. */
export async function checksumOf(order: ReadOrder): Promise<readonly PartitionChecksum[]> {
  const part = startPart<ReadReport>('compare/records/verify-part.ts', order)
  try {
    const told = await part.nextReport()
    if (told.kind === 'failed') throw new Error(`topic ${order.topic}: ${told.why}`)
    return told.partitions
  } finally {
    await part.kill()
  }
}

/** Throws naming the first partition that differs and how, and also when there are no records. */
export function compareChecksums(
  source: readonly PartitionChecksum[],
  copy: readonly PartitionChecksum[],
): void {
  if (copy.length !== source.length) {
    throw new Error(`the copy has ${copy.length} partitions, the source ${source.length}`)
  }
  // Two empty sides are equal, too: retention may have removed the records of both.
  if (source.every(each => each.records === 0)) throw new Error('the source has no records')
  source.forEach((expected, partition) => {
    const found = copy[partition]
    if (found?.records !== expected.records) {
      const counts = `${found?.records} records, the source ${expected.records}`
      throw new Error(`partition ${partition} of the copy has ${counts}`)
    }
    if (found.checksum === expected.checksum) return
    const count = `${expected.records} records on both sides`
    throw new Error(`partition ${partition} of the copy has other contents: ${count}`)
  })
}

/** Throws when the copy differs from its source. Reads both sides at the same time. */
export async function compareCopy(input: {
  readonly source: { readonly brokers: string; readonly topic: string }
  readonly copy: { readonly brokers: string; readonly topic: string }
  readonly partitions: number
}): Promise<readonly PartitionChecksum[]> {
  const { source, copy, partitions } = input
  const [expected, found] = await Promise.all([
    checksumOf({ ...source, partitions }),
    checksumOf({ ...copy, partitions }),
  ])
  compareChecksums(expected, found)
  return expected
}
