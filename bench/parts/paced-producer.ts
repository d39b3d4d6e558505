// A part of a measurement: writes records at an even pace, each with the moment it was sent inside.
// As light as can be: frames its own batches and sends them over one connection, each of them its
// own request, without awaiting the one before.
//
//   value   INT64 machine time when it was sent, ns | zeros

import { openCluster } from '../../lib/io/cluster/cluster.ts'
import { bodyOf, writeRecords } from '../../lib/kafka/record.ts'
import { frameBatch } from '../../lib/kafka/record-batch.ts'
import { exitWithStarter, machineNs, orderOf, report } from '../part.ts'

export type ProducerOrder = {
  readonly brokers: string
  readonly topic: string
  readonly partitions: number
  readonly recordsPerSecond: number
  /** Records of one batch: as a producer that lingers sends them. */
  readonly batchRecords: number
  readonly bytes: number
}

const REQUEST_TIMEOUT_MS = 30_000
/** Of a broker that is stuck; more than a pace it keeps has open, fewer than a link takes. */
const OPEN_REQUESTS_MAX = 1_000
const TICK_MS = 1

function batchOf({ batchRecords, bytes }: ProducerOrder): Buffer {
  const value = Buffer.alloc(bytes)
  value.writeBigInt64BE(machineNs())
  const body = bodyOf(null, value)
  const records = Array.from({ length: batchRecords }, (_, offsetDelta) => {
    return { attributes: 0, timestampDelta: 0n, offsetDelta, body }
  })
  const nowMs = BigInt(Date.now())
  return frameBatch({
    baseOffset: 0n,
    partitionLeaderEpoch: -1,
    codec: 'none',
    baseTimestamp: nowMs,
    maxTimestamp: nowMs,
    recordsCount: batchRecords,
    records: writeRecords(records),
  }).bytes
}

async function main(order: ProducerOrder): Promise<void> {
  const { brokers, topic, partitions, recordsPerSecond, batchRecords } = order
  const cluster = openCluster({
    name: 'source',
    config: { brokers: brokers.split(','), tls: false },
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  const [described] = await cluster.describeTopics([topic])
  const leaderId = described?.kind === 'exists' ? described.partitions[0]?.leaderId : null
  if (leaderId == null) throw new Error(`topic ${topic} has no leader`)
  let open = 0
  let batches = 0
  const sendOne = async () => {
    open += 1
    const records = batchOf(order)
    const partition = batches % partitions
    batches += 1
    const topics = [{ name: topic, partitions: [{ partition, records }] }]
    const answer = await cluster.produce(leaderId, {
      acks: -1,
      timeoutMs: REQUEST_TIMEOUT_MS,
      topics,
    })
    const code = answer.partitions[0]?.errorCode
    if (code !== 0) throw new Error(`the source answered ${code}`)
    open -= 1
  }
  const startedNs = machineNs()
  report({ kind: 'started' })
  setInterval(() => {
    const elapsedS = Number(machineNs() - startedNs) / 1e9
    const due = Math.floor((elapsedS * recordsPerSecond) / batchRecords)
    // What falls due while the machine is busy elsewhere is sent late and stamped when it is sent.
    while (batches < due && open < OPEN_REQUESTS_MAX) {
      sendOne().catch(error => {
        process.stderr.write(`${error}\n`)
        process.exit(1)
      })
    }
  }, TICK_MS)
}

exitWithStarter()
await main(orderOf<ProducerOrder>())
