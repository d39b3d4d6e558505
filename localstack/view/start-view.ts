// How `npm start` shows the state of the flow: on a terminal a picture that is redrawn, elsewhere a
// line for each change. Does not own the clock or the observation.

import { createLogUpdate } from 'log-update'
import { groupDigits, renderTable } from '../../cli/terminal/table.ts'
import type { PartitionStatus } from '../../lib/run/operate/status.ts'
import type { Report } from '../processes/stack-error.ts'

export type Snapshot = {
  readonly partitions: readonly PartitionStatus[]
  /** One sentence for each cluster, topic or table that could not be observed. */
  readonly unobserved: readonly string[]
  readonly standbyTopic: string
  /** Events that reached the standby since this run began to produce; null: unknown. */
  readonly arrived: bigint | null
  readonly produced: number
  readonly nextTickInMs: number
}

export type StartView = {
  show(snapshot: Snapshot): void
  /** Prints a line that stays. */
  say: Report
  /** Leaves the present picture; `show` prints nothing any more. */
  end(): void
}

/** Standard output, or another writable stream. */
type Output = NodeJS.WritableStream & { readonly isTTY?: boolean }

export function createStartView(stream: Output): StartView {
  return stream.isTTY ? createPicture(stream) : createLines(stream)
}

function createPicture(stream: Output): StartView {
  const picture = createLogUpdate(stream)
  let ended = false
  return {
    show(snapshot) {
      if (!ended) picture(renderSnapshot(snapshot))
    },
    say: line => picture.persist(line),
    end() {
      ended = true
      picture.done()
    },
  }
}

function createLines(stream: Output): StartView {
  let last: readonly string[] = []
  let ended = false
  const say: Report = line => {
    stream.write(`${line}\n`)
  }
  return {
    show(snapshot) {
      if (ended) return
      const lines = changingLines(snapshot)
      for (const line of lines) if (!last.includes(line)) say(line)
      last = lines
    },
    say,
    end() {
      ended = true
    },
  }
}

export function renderSnapshot(snapshot: Snapshot): string {
  const { partitions, unobserved, nextTickInMs } = snapshot
  const incidents = partitions.reduce((sum, each) => sum + each.openIncidents, 0)
  const seconds = Math.ceil(nextTickInMs / 1_000)
  return [
    '',
    `Next scheduled tick in ${seconds} s; open incidents: ${incidents}; ${arrivedText(snapshot)}`,
    partitionTable(partitions),
    ...unobserved.map(sentence => `not observed: ${sentence}`),
  ].join('\n')
}

function partitionTable(partitions: readonly PartitionStatus[]): string {
  if (partitions.length === 0) return '(no partitions yet)'
  return renderTable<PartitionStatus>(
    [
      { head: 'TOPIC', cell: each => `${each.topic}:${each.partition}` },
      { head: 'STANDBY TOPIC', cell: each => each.targetTopic },
      { head: 'STATE', cell: each => each.state },
      { head: 'POSITION', align: 'right', cell: each => digits(each.nextSourceOffset) },
      { head: 'SOURCE LOG END', align: 'right', cell: each => digits(each.sourceLogEndOffset) },
      { head: 'LAG', align: 'right', cell: each => digits(each.lagRecords) },
      { head: 'LATENCY', align: 'right', cell: each => latencyText(each.latencyMs) },
      { head: 'INCIDENTS', align: 'right', cell: each => String(each.openIncidents) },
    ],
    partitions,
  )
}

/** Leaves out the countdown, which would print a line every second. */
function changingLines(snapshot: Snapshot): string[] {
  return [
    ...snapshot.partitions.map(partitionLine),
    arrivedText(snapshot),
    ...snapshot.unobserved.map(sentence => `not observed: ${sentence}`),
  ]
}

function partitionLine(each: PartitionStatus): string {
  const shown = (value: bigint | null) => digits(value) ?? 'unknown'
  return (
    `${each.topic}:${each.partition} -> ${each.targetTopic}: ${each.state}, ` +
    `position ${shown(each.nextSourceOffset)}, source log end ${shown(each.sourceLogEndOffset)}, ` +
    `lag ${shown(each.lagRecords)}, latency ${latencyText(each.latencyMs) ?? 'unknown'}, ` +
    `open incidents ${each.openIncidents}`
  )
}

function arrivedText({ standbyTopic, arrived, produced }: Snapshot): string {
  if (arrived === null) return `${standbyTopic}: new events unknown`
  // More events than this run produced: another producer writes, too.
  const of = arrived > BigInt(produced) ? '' : ` of ${groupDigits(produced)}`
  return `${standbyTopic}: ${groupDigits(arrived)}${of} new events`
}

function digits(value: bigint | null): string | null {
  return value === null ? null : groupDigits(value)
}

/** From the last copied record's timestamp to its acknowledgement. */
function latencyText(latencyMs: number | null): string | null {
  if (latencyMs === null) return null
  return latencyMs < 1_000 ? `${latencyMs} ms` : `${(latencyMs / 1_000).toFixed(1)} s`
}
