// Owns an incident as a row of the table: its key, its attributes, and the changes when the
// incident is detected again or ends. Does not own how attributes are read (row.ts), nor the
// requests (io/table/incident-store.ts).
//
//   pk            the flow                      sk            incident/<id>, see incident-moves.ts
//   kind          the literal of IncidentKind
//   topic, partition              absent when the incident covers a whole cluster or a whole topic
//   resolution    how the incident ended; absent while it is open. The first resolution is kept:
//                 DynamoDB's if_not_exists writes it only where there is none.
//   resolvedAtMs  when the incident ended; absent while it is open
//   detectedAtMs  when the incident was first detected
//   expectedOffset, foundOffset, lostRecordsMax      absent where they have no meaning
//   evidence      a flat JSON object of strings

import { cutText } from '../cut-text.ts'
import {
  type Incident,
  type IncidentKind,
  incidentKinds,
  isAboutTarget,
  type Resolution,
} from '../incident.ts'
import { type SourceOffset, sourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import {
  type Attribute,
  CorruptRowError,
  numberAttribute,
  type Row,
  type RowReader,
  rowChange,
  rowReader,
  type StoredRow,
  textAttribute,
} from './row.ts'

export const incidentPrefix = 'incident/'
export const endedPrefix = 'ended-incident/'

export type IncidentKey = { readonly flow: string; readonly id: string }

/** The id may hold any character; it is the rest of the sort key behind the prefix. */
export function incidentKey({ flow, id }: IncidentKey): Row {
  return { pk: { S: flow }, sk: { S: `${incidentPrefix}${id}` } }
}

/** The update that stores an incident, with or without an earlier row. */
export type IncidentChange = {
  readonly set: Row
  /** Attributes that are set only where the row does not have them. */
  readonly setIfAbsent: Row
  readonly remove: readonly string[]
}

/**
 * Overwrites the evidence and keeps the time of the first detection. An `open` incident reopens a
 * row that was resolved; a resolved incident keeps the resolution that the row already has.
 */
export function incidentChange(incident: Incident): IncidentChange {
  const { present, absent } = rowChange({
    kind: { S: incident.kind },
    topic: textAttribute(incident.topic),
    partition: numberAttribute(incident.partition),
    expectedOffset: numberAttribute(incident.expectedOffset),
    foundOffset: numberAttribute(incident.foundOffset),
    lostRecordsMax: numberAttribute(incident.lostRecordsMax),
    evidence: { S: JSON.stringify(boundedEvidence(incident)) },
  })
  const detectedAtMs: Attribute = { N: String(incident.detectedAtMs) }
  if (incident.resolution === 'open') {
    const remove = [...absent, 'resolution', 'resolvedAtMs']
    return { set: present, setIfAbsent: { detectedAtMs }, remove }
  }
  const ending: Row = { resolution: { S: incident.resolution }, resolvedAtMs: detectedAtMs }
  return { set: present, setIfAbsent: { detectedAtMs, ...ending }, remove: absent }
}

/** DynamoDB refuses an item of more than 400 KB, and an incident has less than ten facts. */
const FACT_BYTES_MAX = 16 * 1024

/** An incident whose row DynamoDB refused as too large would never be stored. */
function boundedEvidence({ evidence }: Incident): Incident['evidence'] {
  const facts = Object.entries(evidence)
  return Object.fromEntries(facts.map(([name, value]) => [name, cutText(value, FACT_BYTES_MAX)]))
}

export type IncidentEnding = {
  readonly resolution: Exclude<Resolution, 'open'>
  readonly nowMs: number
  readonly foundOffset?: SourceOffset
  readonly lostRecordsMax?: bigint
}

/** The attributes that end an open incident. Attributes that are not given stay unchanged. */
export function endingAttributes(ending: IncidentEnding): Row {
  return rowChange({
    resolution: { S: ending.resolution },
    resolvedAtMs: { N: String(ending.nowMs) },
    foundOffset: numberAttribute(ending.foundOffset),
    lostRecordsMax: numberAttribute(ending.lostRecordsMax),
  }).present
}

/** Reads a row back. Throws `CorruptRowError` that names the row and the attribute. */
export function readIncident(row: StoredRow): Incident {
  const read = rowReader(row)
  const key = read.text('sk')
  const prefix = [incidentPrefix, endedPrefix].find(each => key.startsWith(each))
  if (prefix === undefined) throw read.corrupt('sk', `${incidentPrefix}<id>`)
  const kind = readKind(read)
  const offset = (name: string) => readOffset(kind, read.offset(name))
  return {
    flow: read.text('pk'),
    id: key.slice(prefix.length),
    kind,
    topic: read.optional('topic', read.text),
    partition: read.optional('partition', read.number),
    resolution: read.optional('resolution', () => readEnding(read)) ?? 'open',
    detectedAtMs: read.number('detectedAtMs'),
    expectedOffset: read.optional('expectedOffset', offset),
    foundOffset: read.optional('foundOffset', offset),
    lostRecordsMax: read.optional('lostRecordsMax', read.offset),
    evidence: readEvidence(read),
  }
}

/** An incident whose row is corrupt; `detail` names row, attribute and expectation. */
export type CorruptIncident = { readonly id: string; readonly detail: string }

/** All rows of a listing, each in exactly one of two lists. */
export type ListedIncidents = {
  /** By time of detection, oldest first. */
  readonly incidents: readonly Incident[]
  /** Ordered by id. Whether these incidents are open, and what they are about, is unknown. */
  readonly corrupt: readonly CorruptIncident[]
}

/** Reads a listing back. A corrupt row hides only its own incident. */
export function readIncidents(rows: readonly StoredRow[]): ListedIncidents {
  const incidents: Incident[] = []
  const corrupt: CorruptIncident[] = []
  for (const row of rows) {
    try {
      incidents.push(readIncident(row))
    } catch (error) {
      if (!(error instanceof CorruptRowError)) throw error
      const key = rowReader(row).text('sk')
      const id = key.slice((key.startsWith(endedPrefix) ? endedPrefix : incidentPrefix).length)
      corrupt.push({ id, detail: error.message })
    }
  }
  return {
    incidents: incidents.sort(byDetection),
    corrupt: corrupt.sort((left, right) => (left.id < right.id ? -1 : 1)),
  }
}

/** The line about a corrupt row that operators read. */
export function corruptIncidentText({ detail }: CorruptIncident): string {
  return (
    `an incident that cannot be read, so it is not listed. ${detail}. Look at that row (aws dynamodb ` +
    'get-item), then repair or delete it (docs/OPERATING.md, "A corrupt row").'
  )
}

/** For sorting: oldest first, and by id within a millisecond. */
export function byDetection(left: Incident, right: Incident): number {
  if (left.detectedAtMs !== right.detectedAtMs) return left.detectedAtMs - right.detectedAtMs
  if (left.id === right.id) return 0
  return left.id < right.id ? -1 : 1
}

function readKind(read: RowReader): IncidentKind {
  const text = read.text('kind')
  const kind = incidentKinds.find(each => each === text)
  if (kind === undefined) throw read.corrupt('kind', `one of ${incidentKinds.join(', ')}`)
  return kind
}

/** The values of `resolution` that a row may hold; any other value is corrupt. */
export const endings = ['continued', 'resumed', 'recovered'] as const

function readEnding(read: RowReader): Exclude<Resolution, 'open'> {
  const text = read.text('resolution')
  const ending = endings.find(each => each === text)
  if (ending !== undefined) return ending
  throw read.corrupt('resolution', 'continued, resumed or recovered, or to be absent while open')
}

function readOffset(kind: IncidentKind, value: bigint): SourceOffset | TargetOffset {
  return isAboutTarget(kind) ? targetOffset(value) : sourceOffset(value)
}

/** Evidence names that an earlier version stored, each with its present name. */
const renamedEvidence = new Map([['partsNotBehind', 'divergesAtOrBefore']])

function readEvidence(read: RowReader): Record<string, string> {
  const facts = parseJson(read.text('evidence'))
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) {
    throw read.corrupt('evidence', 'a JSON object')
  }
  for (const value of Object.values(facts)) {
    if (typeof value !== 'string') throw read.corrupt('evidence', 'a JSON object of strings')
  }
  const named = Object.entries(facts).map(([name, value]) => [
    renamedEvidence.get(name) ?? name,
    value,
  ])
  return Object.fromEntries(named)
}

/** Null, which is no valid evidence, when the text is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
