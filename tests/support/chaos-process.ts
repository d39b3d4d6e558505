// A process of its own that runs a flow again and again, as scheduled ticks do, until SIGTERM asks
// it to end; whoever wants to see it die without warning kills it from outside. Says how many
// records the standby acknowledged. Ends with the error of a run that failed, as an invocation
// does: the next one is a new process. Started by chaos-child.ts.
//
//   node chaos-process.ts ORDER     ORDER: a `ChaosOrder` as JSON

import { parseConfig } from '../../lib/core/config.ts'
import type { Cluster } from '../../lib/io/cluster.ts'
import { createDynamoDbClient } from '../../lib/io/dynamodb-client.ts'
import { newOwner, openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/run-once.ts'

export type ChaosOrder = { readonly config: unknown; readonly table: string }

/** Of a record batch: DefaultRecordBatch.RECORDS_COUNT_OFFSET in Kafka. */
const RECORDS_COUNT_AT = 57

function counted(target: Cluster): Cluster {
  return {
    ...target,
    produce: async (leaderId, request) => {
      const answer = await target.produce(leaderId, request)
      let records = 0
      for (const { name, partitions } of request.topics) {
        for (const each of partitions) {
          const acknowledged = answer.partitions.some(
            ({ topic, partition, errorCode }) =>
              topic === name && partition === each.partition && errorCode === 0,
          )
          if (acknowledged) records += each.records.readInt32BE(RECORDS_COUNT_AT)
        }
      }
      process.stdout.write(`acknowledged ${records}\n`)
      return answer
    },
  }
}

async function main(order: ChaosOrder): Promise<void> {
  const parsed = parseConfig(order.config)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const { config } = parsed
  const [flow] = config.flows
  if (flow === undefined) throw new Error('no flow in the configuration')
  const ending = new AbortController()
  process.once('SIGTERM', () => ending.abort())
  // Nobody is left to kill it.
  process.stdin.once('end', () => process.exit(2)).resume()
  const client = createDynamoDbClient(process.env)
  const { table } = order
  const { deps, close } = openFlow({ config, flow, client, table, log: () => undefined })
  const target = counted(deps.target)
  while (!ending.signal.aborted) {
    await runFlowOnce({ ...deps, target, owner: newOwner() }, flow, ending.signal)
  }
  await close()
  process.exit(0)
}

if (process.argv[2] !== undefined) {
  try {
    await main(JSON.parse(process.argv[2]))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`, () =>
      process.exit(1),
    )
  }
}
