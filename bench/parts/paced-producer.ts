// A process of a measurement: writes records at an even pace, each with the moment it was sent
// inside. It frames its own batches and sends each as one request over one connection, without
// awaiting the request before, so that it takes as little of the machine as possible.
//
//   value   INT64 machine time when it was sent, ns | zeros

import { bodyOf } from '../../lib/kafka/record.ts'
import { exitWithStarter, machineNs, orderOf, report } from '../part.ts'
import { batchOf, findLed, openPlain, produceBatch } from './one-broker.ts'

export type ProducerOrder = {
  readonly brokers: string
  readonly topic: string
  readonly partitions: number
  readonly recordsPerSecond: number
  /** Records in a batch, as a producer that lingers sends them. */
  readonly batchRecords: number
  /** Length of a value. */
  readonly bytes: number
}

/** A broker that is stuck reaches this limit; one that keeps the pace never does. */
const OPEN_REQUESTS_MAX = 1_000
const TICK_MS = 1

function stampedBatch({ batchRecords, bytes }: ProducerOrder): Buffer {
  const value = Buffer.alloc(bytes)
  value.writeBigInt64BE(machineNs())
  return batchOf(Array<Buffer>(batchRecords).fill(bodyOf(null, value)))
}

async function main(order: ProducerOrder): Promise<void> {
  const { brokers, topic, partitions, recordsPerSecond, batchRecords } = order
  const cluster = openPlain(brokers)
  const led = await findLed(cluster, topic)
  if (led === null) throw new Error(`topic ${topic} has no leader`)
  let open = 0
  let batches = 0
  const sendOne = async () => {
    open += 1
    const to = { topic, leaderId: led.leaderId, partition: batches % partitions }
    batches += 1
    const code = await produceBatch(cluster, to, stampedBatch(order))
    if (code !== 0) throw new Error(`the source answered a Produce with error ${code}`)
    open -= 1
  }
  const startedNs = machineNs()
  report({ kind: 'started' })
  setInterval(() => {
    const elapsedS = Number(machineNs() - startedNs) / 1e9
    const due = Math.floor((elapsedS * recordsPerSecond) / batchRecords)
    // A record that falls due while the machine is busy is sent late, and stamped when it is sent.
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
