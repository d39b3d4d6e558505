// Fills a topic with the backlog of a case: Kafka's own producer, batches of the case's size. Does
// not own the cases (cases.ts).

import { join } from 'node:path'
import { fillTopic } from '../../one-run.ts'
import type { CatchUpCase } from '../results/results.ts'
import type { Scene } from '../sections/scene.ts'
import { writePayloads } from './payloads.ts'

export async function fill(scene: Scene, topic: string, one: CatchUpCase): Promise<void> {
  const isCompressed = one.compression !== 'none'
  const payloads = join(scene.dir, `payloads-${one.recordBytes}`)
  if (isCompressed) await writePayloads(payloads, one.recordBytes)
  fillTopic({
    jars: scene.jars,
    brokers: scene.source.brokers,
    topic,
    partitions: one.partitions,
    records: one.records,
    recordBytes: one.recordBytes,
    ...(isCompressed ? { payloads } : {}),
    producer: {
      'batch.size': one.batchBytes,
      'compression.type': one.compression,
      // Without linger the producer would send batches smaller than the case's batch size.
      'linger.ms': one.batchBytes > 1 ? 50 : 0,
      'max.request.size': 2 ** 20,
    },
  })
}
