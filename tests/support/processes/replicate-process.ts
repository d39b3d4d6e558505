// A process that runs a flow once, as `gapless run --once` does, and sends itself a signal at a
// chosen moment: SIGKILL ends it as the kernel or the platform would, SIGSTOP freezes it. Started
// by replicate-child.ts.
//
//   node replicate-process.ts ORDER     ORDER: an `Order` as JSON
//
// lease-taken            the table has the lease
// produce-begun          a Produce passed its last check of the lease, and is not sent yet
// produce-sent           a Produce is in flight
// produce-applied        the standby has appended it, its answer is not processed yet
// produce-acknowledged   its answer is processed
// markers-sent           a WriteTxnMarkers for a partition is in flight
// markers-applied        the standby has written the markers, its answer is not processed yet
// checkpoint-begun       a checkpoint, not the last one, is about to be written
// checkpoint-written     the table has the checkpoint, its answer is not processed yet
// deletion-begun         a DeleteRecords is about to be sent
// deletion-applied       the standby has moved its log start, the answer is not processed yet
// configs-begun          configs of a standby topic are about to be altered
// configs-altered        they are altered, the answer is not processed yet
// incident-stored        the table has the incident, the checkpoint is not beyond it yet

import { writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseConfig } from '../../../lib/core/config/config.ts'
import { createDynamoDbClient } from '../../../lib/io/table/dynamodb-client.ts'
import { openFlow } from '../../../lib/run/open-flow.ts'
import { type RunOnceDeps, runFlowOnce } from '../../../lib/run/operate/run-once.ts'

export const moments = [
  'lease-taken',
  'produce-begun',
  'produce-sent',
  'produce-applied',
  'produce-acknowledged',
  'markers-sent',
  'markers-applied',
  'checkpoint-begun',
  'checkpoint-written',
  'deletion-begun',
  'deletion-applied',
  'configs-begun',
  'configs-altered',
  'incident-stored',
] as const

export type Moment = (typeof moments)[number]

export type Order = {
  readonly config: unknown
  readonly table: string
  readonly signal: 'SIGKILL' | 'SIGSTOP'
  readonly moment: Moment
  readonly nth: number
}

const STANDARD_OUTPUT = 1

/** The line that is written at the moment. */
export function markOf({ moment, nth }: Pick<Order, 'moment' | 'nth'>): string {
  return `${moment} ${nth} reached`
}

function interrupted(deps: RunOnceDeps, order: Order): RunOnceDeps {
  const { signal, moment, nth } = order
  let count = 0
  const reach = (reached: Moment) => {
    if (reached !== moment) return
    count += 1
    if (count !== nth) return
    // Written synchronously: process.stdout might write only after the signal.
    writeSync(STANDARD_OUTPUT, `${markOf(order)}\n`)
    process.kill(process.pid, signal)
  }
  const { target, checkpoints, incidents } = deps
  const { deleteRecords } = target
  const openTargetAdmin = () => {
    const admin = deps.openTargetAdmin()
    return {
      ...admin,
      alterConfigs: async (alterations: Parameters<typeof admin.alterConfigs>[0]) => {
        reach('configs-begun')
        const outcomes = await admin.alterConfigs(alterations)
        reach('configs-altered')
        return outcomes
      },
    }
  }
  return {
    ...deps,
    openTargetAdmin,
    target: {
      ...target,
      ...(deleteRecords === undefined
        ? {}
        : {
            deleteRecords: async (leaderId, request) => {
              reach('deletion-begun')
              const answer = await deleteRecords(leaderId, request)
              reach('deletion-applied')
              return answer
            },
          }),
      writeTxnMarkers: async (leaderId, request) => {
        const answer = target.writeTxnMarkers(leaderId, request)
        await nextTurn()
        // A name with a slash is that of no topic: the right is asked for.
        const isAsked = request.topic.includes('/')
        if (!isAsked) reach('markers-sent')
        await answer
        if (!isAsked) reach('markers-applied')
        return answer
      },
      produce: async (leaderId, request) => {
        reach('produce-begun')
        const answer = target.produce(leaderId, request)
        // In the next turn the bytes are written to the socket.
        await nextTurn()
        reach('produce-sent')
        await answer
        reach('produce-applied')
        setImmediate(() => reach('produce-acknowledged'))
        return answer
      },
    },
    checkpoints: {
      ...checkpoints,
      acquire: async input => {
        const acquired = await checkpoints.acquire(input)
        reach('lease-taken')
        return acquired
      },
      save: async input => {
        // Not the last checkpoint: a run that has written that one has ended normally.
        const renews = input.lease.kind === 'renew'
        if (renews) reach('checkpoint-begun')
        const saved = await checkpoints.save(input)
        if (renews) reach('checkpoint-written')
        return saved
      },
    },
    incidents: {
      ...incidents,
      record: async (incident, foundUnder) => {
        const recorded = await incidents.record(incident, foundUnder)
        reach('incident-stored')
        return recorded
      },
    },
  }
}

async function main(order: Order): Promise<void> {
  const parsed = parseConfig(order.config)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const [flow] = parsed.config.flows
  if (flow === undefined) throw new Error('no flow in the configuration')
  const client = createDynamoDbClient(process.env)
  const { table } = order
  const { deps, close } = openFlow({
    config: parsed.config,
    flow,
    client,
    table,
    log: () => undefined,
  })
  const report = await runFlowOnce(interrupted(deps, order), flow, new AbortController().signal)
  await close()
  client.destroy()
  writeSync(STANDARD_OUTPUT, `${report.partitions.map(each => each.outcome).join(' ')}\n`)
}

if (process.argv[2] !== undefined) await main(JSON.parse(process.argv[2]))
