// Owns what everything that is measured side by side has in common: how it is told what to copy,
// and what is known of it while it runs. Nothing is measured here.

import type { ContenderName } from '../results/results.ts'

/** What one contender copies in one run: one topic, all of it, by a route no other run used. */
export type Job = {
  /** `127.0.0.1:port`. */
  readonly sourceBrokers: string
  readonly targetBrokers: string
  readonly topic: string
  readonly partitions: number
  /** Names the source cluster in this run, so the copy is `route.topic`; letters and digits. */
  readonly route: string
  /** An empty folder of this run's: configuration, logs. */
  readonly dir: string
  /** true: goes on with what is written later, until it is killed. */
  readonly follows: boolean
}

/** A process that copies. `pid`: of that process alone, whose processor and memory count. */
export type RunningContender = {
  readonly pid: number
  /** When the process was started; the machine's time (part.ts), ms. */
  readonly startedAtMs: number
  /** SIGKILL; resolves when the process is gone. Also after it ended by itself. */
  kill(): Promise<void>
  /** Rejects with what it said when the process ends in another way than well or by `kill`. */
  readonly failed: Promise<never>
}

export type Contender = {
  readonly name: ContenderName
  /** MB of resident memory; taking more is an error, as in Lambda. null: no limit. */
  readonly memoryMaxMb: number | null
  /** Resolves when the process has been started: nothing was copied yet. */
  start(job: Job): Promise<RunningContender>
}

/** What a run's copy is called on the target: as MirrorMaker 2's DefaultReplicationPolicy says. */
export function copyOf({ route, topic }: Job): string {
  return `${route}.${topic}`
}
