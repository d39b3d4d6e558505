// Owns the form of bench/results.json: everything that was measured side by side, as samples. What
// is said about it (medians, ratios, goals) is computed from it, never stored.

/** Where and with what a section was measured. Sections may be measured at different times. */
export type Provenance = {
  /** ISO 8601, to the minute. */
  readonly measuredAt: string
  readonly command: string
  /** Abbreviated; ends with `-dirty` when the tree had changes. */
  readonly commit: string
  readonly machine: string
  readonly versions: {
    readonly node: string
    readonly kafka: string
    readonly java: string
  }
  /** The load average (1 min) before the section began. */
  readonly load: number
}

/** What was copied. */
export type CatchUpCase = {
  /** For the tables: `200 B, 4 partitions`. */
  readonly name: string
  readonly records: number
  readonly recordBytes: number
  readonly partitions: number
  /** batch.size of the producer, bytes; 1: every record is a batch of its own. */
  readonly batchBytes: number
  readonly compression: 'none' | 'lz4' | 'zstd'
}

/** One run of one contender over one case; the copy was compared with the source before. */
export type CatchUpRun = {
  readonly case: string
  readonly contender: string
  readonly round: number
  /** From the first record on the standby to the last one. */
  readonly recordsPerSecond: number
  /** From the start of the process to the first record on the standby, s. */
  readonly secondsToFirst: number
  /** Of the replicator alone, between the first record and the last one. */
  readonly processorMicrosPerRecord: number
  /** Of the replicator alone, with its start. */
  readonly processorSecondsWithStart: number
  /** Between the first record and the last one. */
  readonly sourceProcessorMicrosPerRecord: number
  readonly targetProcessorMicrosPerRecord: number
  /** The most resident memory of the replicator (VmHWM), MB of 2^20 bytes. */
  readonly peakMemoryMb: number
}

/**
 * Under a steady load: ages of records when a consumer of either cluster has them, at the same
 * time. What a contender adds is the difference.
 */
export type LatencyRun = {
  readonly recordsPerSecond: number
  readonly contender: string
  readonly round: number
  readonly source: Percentiles
  readonly standby: Percentiles
  /** Processor time of the replicator, % of one processor. */
  readonly processorPercent: number
}

/** ms. */
export type Percentiles = { readonly p50: number; readonly p99: number; readonly max: number }

/** From the event to the first record on the standby that was written after it. */
export type RecoveryRun = {
  readonly event: 'reset' | 'reset-while-stopped' | 'truncation' | 'crash'
  readonly contender: string
  readonly round: number
  /** null: none within `patienceSeconds`. */
  readonly seconds: number | null
  readonly patienceSeconds: number
  /** Whether the contender said that records were lost, and where. */
  readonly told: string
}

/** From the invocation (process start) to the first record on the standby. */
export type ColdStartRun = {
  readonly contender: string
  readonly round: number
  readonly milliseconds: number
  readonly processorMilliseconds: number
}

/** What following partitions without records takes, per minute. */
export type IdleRun = {
  readonly contender: string
  readonly partitions: number
  readonly sourceRequests: number
  readonly targetRequests: number
  readonly tableWrites: number
  readonly processorSeconds: number
  readonly memoryMb: number
}

/** Of gapless with 512 MB, with a profiler in it. ms of processor time. */
export type ProfileRun = {
  readonly case: string
  /** Of the whole process, with its start. */
  readonly processorMilliseconds: number
  /** Of the thread that copies; the others collect garbage and compile. */
  readonly mainThreadMilliseconds: number
  /** Of the main thread; together all of it. */
  readonly parts: {
    readonly collecting: number
    /** Node's functions in C++ and what is outside of functions: the kernel, mostly. */
    readonly system: number
    /** Node's own JavaScript. */
    readonly node: number
    /** gapless and what it is bundled with. */
    readonly bundle: number
  }
  /** Of the main thread, by the function itself; the most first, not all of them. */
  readonly functions: readonly { readonly name: string; readonly milliseconds: number }[]
}

export type Measured<Run> = { readonly provenance: Provenance; readonly runs: readonly Run[] }

export type CatchUp = Measured<CatchUpRun> & { readonly cases: readonly CatchUpCase[] }

/** A section that was never measured is absent, and the report says so. */
export type Results = {
  readonly catchUp?: CatchUp
  /** The same form; one case per number of records, and per number of partitions. */
  readonly growth?: CatchUp
  readonly profile?: Measured<ProfileRun>
  readonly latency?: Measured<LatencyRun>
  readonly recovery?: Measured<RecoveryRun>
  readonly coldStart?: Measured<ColdStartRun>
  readonly idle?: Measured<IdleRun>
}

/** Contenders by the name that runs carry. */
export const contenderNames = {
  gapless512: 'gapless, 512 MB',
  gapless1024: 'gapless, 1,024 MB',
  mirrorMakerDefaults: 'MirrorMaker 2, defaults',
  mirrorMakerTuned: 'MirrorMaker 2, tuned',
  limit: 'physical limit',
} as const
