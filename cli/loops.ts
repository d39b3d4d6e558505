// Runs the loops of lib/run for the commands and turns their results into the JSON contract. No
// other file of cli/ starts a loop. Flows run one after the other, because they usually share their
// clusters.

import type { FlowConfig } from '../lib/core/config/config.ts'
import type { OpenFlow } from '../lib/run/open-flow.ts'
import {
  type FlowStatusReport,
  type ResumeReport,
  type RunReport,
  reportFlowStatus,
  reportPartitionRun,
  type StatusReport,
} from '../lib/run/operate/report.ts'
import type { ResumeFrom } from '../lib/run/operate/resume.ts'
import type { Context } from './context.ts'

export async function readStatus(
  context: Context,
  flows: readonly FlowConfig[],
): Promise<StatusReport> {
  const { readFlowStatus } = await import('../lib/run/operate/status.ts')
  const reports: FlowStatusReport[] = []
  for (const flow of flows) {
    reports.push(
      reportFlowStatus(await withFlow(context, flow, deps => readFlowStatus(deps, flow))),
    )
  }
  return { flows: reports }
}

/** Aborting `interrupted` ends the run early, with every acknowledged record checkpointed. */
export async function runOnce(
  context: Context,
  flows: readonly FlowConfig[],
  interrupted: AbortSignal,
): Promise<RunReport> {
  const { runFlowOnce } = await import('../lib/run/operate/run-once.ts')
  const startedMs = performance.now()
  const reports: RunReport['flows'][number][] = []
  let records = 0n
  let bytes = 0n
  for (const flow of flows) {
    if (interrupted.aborted) break
    const run = await withFlow(context, flow, deps => runFlowOnce(deps, flow, interrupted))
    for (const { recordsReplicated, bytesReplicated } of run.partitions) {
      records += recordsReplicated
      bytes += bytesReplicated
    }
    reports.push({
      name: run.name,
      partitions: run.partitions.map(reportPartitionRun),
      warnings: run.warnings,
      unobserved: [
        ...new Set(run.observationFailures.map(({ cluster, detail }) => `${cluster}: ${detail}`)),
      ],
      failures: run.failures,
    })
  }
  return {
    flows: reports,
    recordsReplicated: String(records),
    bytesReplicated: String(bytes),
    elapsedMs: Math.round(performance.now() - startedMs),
  }
}

/** @throws ReplicatorError, with the next step as hint, when the partition cannot be resumed. */
export async function resumePartition(
  context: Context,
  request: {
    readonly flow: FlowConfig
    readonly topic: string
    readonly partition: number
    readonly from: ResumeFrom
  },
): Promise<ResumeReport> {
  const { flow, topic, partition, from } = request
  const loop = await import('../lib/run/operate/resume.ts')
  const resumed = await withFlow(context, flow, deps =>
    loop.resumePartition(deps, { flow, at: { topic, partition }, from }),
  )
  return {
    flow: flow.name,
    topic,
    partition,
    nextSourceOffset: String(resumed.position.nextSourceOffset),
    skippedOffsets: String(resumed.skippedOffsets),
  }
}

async function withFlow<T>(
  context: Context,
  flow: FlowConfig,
  run: (deps: OpenFlow['deps']) => Promise<T>,
): Promise<T> {
  const { openFlow } = await import('../lib/run/open-flow.ts')
  const config = await context.config()
  const client = await context.dynamoDb()
  const { table, log } = context
  const opened = openFlow({ config, flow, client, table, log })
  try {
    return await run(opened.deps)
  } finally {
    await opened.close()
  }
}
