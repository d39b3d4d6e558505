// Owns the file in which an audit keeps how far it is, so that the same command goes on there after
// it was interrupted or killed. Does not own what is kept (lib/core/audit/state.ts).

import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { stateEveryMs } from '../../lib/core/audit/limits.ts'
import { readState, stateVersion, writeState } from '../../lib/core/audit/state.ts'
import { partitionName, type TopicPartition } from '../../lib/core/topic-partition.ts'
import type { Follows, PartitionProgress } from '../../lib/run/audit/audit-partition.ts'
import { UsageError } from '../exit-code.ts'

type Kept = {
  readonly version: typeof stateVersion
  /** What was asked for: another question has another answer. */
  readonly asked: string
  readonly partitions: Record<string, string>
}

export type AuditState = {
  readonly follows: (
    flow: string,
    at: TopicPartition,
    topicIds: { readonly source: string; readonly target: string },
  ) => Pick<Follows, 'from' | 'stood'>
  /** Stores what is not stored yet. */
  readonly flush: () => Promise<void>
  /** The audit is over: nothing is left to go on with. */
  readonly remove: () => Promise<void>
}

/** null: nothing is kept. Throws UsageError where the file belongs to another audit. */
export async function openAuditState(path: string | null, asked: string): Promise<AuditState> {
  const partitions = path === null ? {} : await readKept(path, asked)
  const startedMs = performance.now()
  const storedAtMs = new Map<string, number>()
  let writing: Promise<void> = Promise.resolve()
  const store = async () => {
    if (path === null) return
    const kept: Kept = { version: stateVersion, asked, partitions }
    const text = JSON.stringify(kept)
    // A file that is cut off by a kill would be lost as a whole.
    writing = writing
      .then(() => writeFile(`${path}.new`, text))
      .then(() => rename(`${path}.new`, path))
    await writing
  }
  return {
    follows(flow, at, ids) {
      const name = `${flow}/${partitionName(at)}/${ids.source}/${ids.target}`
      const text = partitions[name]
      const from = text === undefined ? null : (readState(text) as PartitionProgress)
      return {
        from,
        stood(progress) {
          const nowMs = performance.now()
          const isDue = nowMs - (storedAtMs.get(name) ?? startedMs) >= stateEveryMs
          if (path === null || !(isDue || progress.isDone)) return
          storedAtMs.set(name, nowMs)
          partitions[name] = writeState(progress)
          store().catch(() => undefined)
        },
      }
    },
    flush: store,
    async remove() {
      await writing
      if (path !== null) await rm(path, { force: true })
    },
  }
}

async function readKept(path: string, asked: string): Promise<Record<string, string>> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return {}
  const kept = JSON.parse(text) as Partial<Kept>
  if (kept.version !== stateVersion || kept.asked !== asked) {
    throw new UsageError(
      `${path} holds another audit (${kept.asked ?? 'unknown'}): name another file, or remove it`,
    )
  }
  return kept.partitions ?? {}
}
