// Owns the file in which `gapless failback --export` keeps the records of the old source that never
// travelled: one JSON object a line, bytes in base64, so that nothing of them is lost.

import { open } from 'node:fs/promises'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { readFields } from '../lib/kafka/record-fields.ts'
import {
  divergentRecords,
  type PartitionWayBack,
  type TailDeps,
} from '../lib/run/failover/compare-ends.ts'
import type { SeenPartition } from '../lib/run/failover/look.ts'

export type DivergentExport = {
  write(way: PartitionWayBack, seen: SeenPartition): Promise<void>
  close(): Promise<void>
}

/** Throws when the file exists: records that were kept before are not overwritten. */
export async function openExport(
  path: string,
  { deps, flow }: { readonly deps: TailDeps; readonly flow: FlowConfig },
): Promise<DivergentExport> {
  const file = await open(path, 'wx')
  return {
    async write(way, seen) {
      if (way.kind !== 'behind' || way.divergent === null) return
      const range = { from: way.divergent.from, to: way.sourceEnd }
      for await (const records of divergentRecords(deps, flow, { seen, range })) {
        const lines = records.map(record => lineOf(way, record))
        await file.write(lines.map(line => `${line}\n`).join(''))
      }
      await file.sync()
    },
    close: () => file.close(),
  }
}

function lineOf(
  { topic, partition }: PartitionWayBack,
  { offset, body, createTime }: { offset: bigint; body: Buffer; createTime: bigint | null },
): string {
  const { key, value, headers } = readFields(body)
  return JSON.stringify({
    ...{ topic, partition, offset: String(offset), timestamp: createTime?.toString() ?? null },
    ...{ key: base64(key), value: base64(value) },
    headers: headers.map(each => ({ key: each.key, value: base64(each.value) })),
  })
}

function base64(bytes: Buffer | null): string | null {
  return bytes?.toString('base64') ?? null
}
