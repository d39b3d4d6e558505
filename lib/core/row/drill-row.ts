// Owns a fail-over drill as a row of the table: it is written before the drill makes anything, and
// removed behind everything else, so that a drill which was killed is found with all that it left.
// Does not own the writes (io/failover/drill-store.ts).
//
//   pk            gapless-drill                 sk            drill/<drill>
//   source, standby   the clusters, by their names in the configuration
//   topic, targetTopic   the scratch topic on either side
//   flow          the flow whose clusters are used
//   by            user, host and process
//   startedAtMs   when the drill began
//   aliveUntilMs  when the drill counts as ended, unless it says again that it lives

import { type Row, rowReader, type StoredRow } from './row.ts'

/** A flow may have this name: no listing of a flow reads the prefix `drill/`. */
export const drillPartitionKey = 'gapless-drill'
export const drillSortPrefix = 'drill/'

export type Drill = {
  /** The name of the drill, of its flow in the table and of its consumer group. */
  readonly drill: string
  readonly flow: string
  readonly source: string
  readonly standby: string
  readonly topic: string
  readonly targetTopic: string
  readonly by: string
  readonly startedAtMs: number
  readonly aliveUntilMs: number
}

export function drillKey(drill: string): Row {
  return { pk: { S: drillPartitionKey }, sk: { S: `${drillSortPrefix}${drill}` } }
}

/** All attributes of a row but its key. */
export function drillAttributes(drill: Drill): Row {
  return {
    flow: { S: drill.flow },
    source: { S: drill.source },
    standby: { S: drill.standby },
    topic: { S: drill.topic },
    targetTopic: { S: drill.targetTopic },
    by: { S: drill.by },
    startedAtMs: { N: String(drill.startedAtMs) },
    aliveUntilMs: { N: String(drill.aliveUntilMs) },
  }
}

/** Throws `CorruptRowError` that names the row and the attribute. */
export function readDrill(row: StoredRow): Drill {
  const read = rowReader(row)
  return {
    drill: read.text('sk').slice(drillSortPrefix.length),
    flow: read.text('flow'),
    source: read.text('source'),
    standby: read.text('standby'),
    topic: read.text('topic'),
    targetTopic: read.text('targetTopic'),
    by: read.text('by'),
    startedAtMs: read.number('startedAtMs'),
    aliveUntilMs: read.number('aliveUntilMs'),
  }
}
