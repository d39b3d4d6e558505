// Owns the form of bench/results.json: every side-by-side measurement, as samples. Medians, ratios
// and verdicts are computed from the samples and never stored. Does not own the file (store.ts).

import { z } from 'zod'

/** Contenders by the name that runs carry. */
export const contenderNames = {
  gapless512: 'gapless, 512 MB',
  gapless1024: 'gapless, 1,024 MB',
  mirrorMakerDefaults: 'MirrorMaker 2, defaults',
  mirrorMakerTuned: 'MirrorMaker 2, tuned',
  limit: 'physical limit',
} as const

const figure = z.number()
const positive = figure.positive()
const notNegative = figure.nonnegative()
const round = z.int().positive()
const contender = z.enum(contenderNames)

export type ContenderName = z.infer<typeof contender>

/** Where and with what a section was measured. Sections may be measured at different times. */
const provenance = z
  .strictObject({
    /** ISO 8601, to the minute. */
    measuredAt: z.iso.datetime({ precision: -1 }),
    command: z.string(),
    /** Abbreviated; ends with `-dirty` when the tree had changes. */
    commit: z.string(),
    machine: z.string(),
    versions: z.strictObject({ node: z.string(), kafka: z.string(), java: z.string() }).readonly(),
    /** The load average (1 min) before the section began. */
    load: notNegative,
  })
  .readonly()

/** A backlog that contenders copy. */
const catchUpCase = z
  .strictObject({
    /** For the tables: `200 B, 4 partitions`. */
    name: z.string(),
    records: positive,
    recordBytes: positive,
    partitions: positive,
    /** batch.size of the producer, bytes; 1: every record is a batch of its own. */
    batchBytes: positive,
    compression: z.enum(['none', 'lz4', 'zstd']),
  })
  .readonly()

/** One contender copied one case once; the copy was compared with the source before. */
const catchUpRun = z
  .strictObject({
    case: z.string(),
    contender,
    round,
    /** From the first record on the standby to the last one. */
    recordsPerSecond: positive,
    /** From the start of the process to the first record on the standby, s. */
    secondsToFirst: notNegative,
    /** The replicator's processor time between the first record and the last one. */
    processorMicrosPerRecord: notNegative,
    /** The replicator's processor time, its start included. */
    processorSecondsWithStart: notNegative,
    /** The brokers' processor time between the first record and the last one. */
    sourceProcessorMicrosPerRecord: notNegative,
    targetProcessorMicrosPerRecord: notNegative,
    /** The most resident memory of the replicator (VmHWM), MB of 2^20 bytes. */
    peakMemoryMb: positive,
  })
  .readonly()

/** ms. */
const percentiles = z.strictObject({ p50: figure, p99: figure, max: figure }).readonly()

/**
 * Ages of records under a steady load, when a consumer of either cluster receives them, at the same
 * time. A contender adds the difference.
 */
const latencyRun = z
  .strictObject({
    recordsPerSecond: positive,
    contender,
    round,
    source: percentiles,
    standby: percentiles,
    /** Processor time of the replicator, % of one processor. */
    processorPercent: notNegative,
  })
  .readonly()

/** From the event to the first record on the standby that was written after it. */
const recoveryRun = z
  .strictObject({
    event: z.enum(['reset', 'reset-while-stopped', 'truncation', 'crash', 'crash-noticed']),
    contender,
    round,
    /** null: none within `patienceSeconds`. */
    seconds: notNegative.nullable(),
    patienceSeconds: positive,
    /** Records lost and records twice, and what the contender reported about them. */
    told: z.string(),
  })
  .readonly()

/** A worker was killed while it copied, and the next one recovered every partition at once. */
const massRecoveryRun = z
  .strictObject({
    case: z.string(),
    contender,
    partitions: positive,
    /** Records behind the checkpoints that the next worker found on the standby already. */
    comparedRecords: positive,
    /** From the start of the next worker until everything was copied. */
    seconds: positive,
    /** The most resident memory (VmHWM) of the worker that was killed, MB of 2^20 bytes. */
    crashedPeakMemoryMb: positive,
    /** The same of the next worker. */
    peakMemoryMb: positive,
  })
  .readonly()

/** From the invocation (process start) to the first record on the standby. */
const coldStartRun = z
  .strictObject({
    contender,
    round,
    milliseconds: positive,
    processorMilliseconds: notNegative,
  })
  .readonly()

/** What following partitions without records takes, per minute. */
const idleRun = z
  .strictObject({
    contender,
    partitions: positive,
    sourceRequests: notNegative,
    targetRequests: notNegative,
    tableWrites: notNegative,
    processorSeconds: notNegative,
    memoryMb: positive,
  })
  .readonly()

/** gapless with 512 MB under V8's sampling profiler. ms of processor time. */
const profileRun = z
  .strictObject({
    case: z.string(),
    /** The whole process, its start included. */
    processorMilliseconds: positive,
    /** The thread that copies; the other threads collect garbage and compile. */
    mainThreadMilliseconds: positive,
    /** These four add up to the main thread. */
    parts: z
      .strictObject({
        collecting: notNegative,
        /** Node's functions in C++ and time outside of functions: mostly the kernel. */
        system: notNegative,
        /** Node's own JavaScript. */
        node: notNegative,
        /** gapless and what it is bundled with. */
        bundle: notNegative,
      })
      .readonly(),
    /** Self time on the main thread, the most expensive functions first; not all of them. */
    functions: z
      .array(z.strictObject({ name: z.string(), milliseconds: notNegative }).readonly())
      .readonly(),
  })
  .readonly()

const measured = <Run extends z.ZodType>(run: Run) =>
  z.strictObject({ provenance, runs: z.array(run).readonly() }).readonly()

const catchUp = z
  .strictObject({
    provenance,
    cases: z.array(catchUpCase).readonly(),
    runs: z.array(catchUpRun).readonly(),
  })
  .readonly()
  .refine(({ cases, runs }) => runs.every(run => cases.some(each => each.name === run.case)), {
    error: 'a run names a case that is not among the cases',
  })
  .refine(({ cases }) => new Set(cases.map(each => each.name)).size === cases.length, {
    error: 'two cases have the same name',
  })

/**
 * A section that was never measured is absent, and the report says so. The order of the keys is the
 * order in the file.
 */
export const resultsSchema = z
  .strictObject({
    catchUp: catchUp.exactOptional(),
    /** The same form; one case per number of records, and per number of partitions. */
    growth: catchUp.exactOptional(),
    profile: measured(profileRun).exactOptional(),
    latency: measured(latencyRun).exactOptional(),
    recovery: measured(recoveryRun).exactOptional(),
    massRecovery: measured(massRecoveryRun).exactOptional(),
    coldStart: measured(coldStartRun).exactOptional(),
    idle: measured(idleRun).exactOptional(),
  })
  .readonly()

export type Provenance = z.infer<typeof provenance>
export type CatchUpCase = z.infer<typeof catchUpCase>
export type CatchUpRun = z.infer<typeof catchUpRun>
export type Percentiles = z.infer<typeof percentiles>
export type LatencyRun = z.infer<typeof latencyRun>
export type RecoveryRun = z.infer<typeof recoveryRun>
export type MassRecoveryRun = z.infer<typeof massRecoveryRun>
export type ColdStartRun = z.infer<typeof coldStartRun>
export type IdleRun = z.infer<typeof idleRun>
export type ProfileRun = z.infer<typeof profileRun>
export type CatchUp = z.infer<typeof catchUp>
export type Results = z.infer<typeof resultsSchema>
export type Measured<Run> = { readonly provenance: Provenance; readonly runs: readonly Run[] }
