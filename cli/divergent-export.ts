// Owns the file in which `gapless failback --export` keeps the records of the old source that never
// travelled. Does not own its lines (core/failover/exported-record.ts).

import { open } from 'node:fs/promises'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { exportedLine } from '../lib/core/failover/exported-record.ts'
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
        const lines = records.map(record => exportedLine(way, record))
        await file.write(lines.map(line => `${line}\n`).join(''))
      }
      await file.sync()
    },
    close: () => file.close(),
  }
}
