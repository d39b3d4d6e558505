// Owns the interface of all contenders: their job, and the process that runs it. Does not measure.

import type { ContenderName } from '../results/results.ts'

/** One run of one contender: it copies one whole topic under a route that no other run uses. */
export type Job = {
  /** `127.0.0.1:port`. */
  readonly sourceBrokers: string
  readonly targetBrokers: string
  readonly topic: string
  readonly partitions: number
  /** Names the source cluster in this run, so the copy is `route.topic`; letters and digits. */
  readonly route: string
  /** An empty folder for the configuration and logs of this run. */
  readonly dir: string
  /** true: also copies records that are written later, until it is killed. */
  readonly follows: boolean
}

/** A process that copies. The processor time and memory of `pid` count, and of no other process. */
export type RunningContender = {
  readonly pid: number
  /** The machine's time (part.ts) of the process's start, ms. */
  readonly startedAtMs: number
  /** SIGKILL. Resolves when the process is gone, also when it had ended by itself. */
  kill(): Promise<void>
  /** Rejects with the process's log when the process fails; never after success or `kill`. */
  readonly failed: Promise<never>
}

export type Contender = {
  readonly name: ContenderName
  /** Limit of resident memory, MB. A process above it is an error, as in Lambda. null: no limit. */
  readonly memoryMaxMb: number | null
  /** Resolves when the process has been started and has copied nothing yet. */
  start(job: Job): Promise<RunningContender>
}

/** The name of a run's copy on the target, as in MirrorMaker 2's DefaultReplicationPolicy. */
export function copyOf({ route, topic }: Job): string {
  return `${route}.${topic}`
}
