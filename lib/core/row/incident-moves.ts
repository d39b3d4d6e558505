// Owns under which key an incident is kept, and the writes that move it: an open incident has one
// prefix, and an ended one another, so that the open ones are found by their key alone however long
// the history is. An ended incident expires (DynamoDB's TTL, table.ts). Does not own the attributes
// of an incident (incident-row.ts) nor the requests (io/table/incident-store.ts).
//
//   incident/<id>         open. Versions before kept ended incidents here too; they are read, and
//                         moved by and by.
//   ended-incident/<id>   ended; expiresAtS is when DynamoDB may delete the row (Unix time, s)
//   untold-incident/<id>  a mark: the ended incident was not notified yet. Expires with it.

import type { Incident } from '../incident.ts'
import {
  endedPrefix,
  endingAttributes,
  endings,
  type IncidentEnding,
  type IncidentKey,
  incidentChange,
  incidentKey,
  incidentPrefix,
} from './incident-row.ts'
import type { Attribute, Row, StoredRow } from './row.ts'

export const untoldPrefix = 'untold-incident/'

export function endedIncidentKey({ flow, id }: IncidentKey): Row {
  return { pk: { S: flow }, sk: { S: `${endedPrefix}${id}` } }
}

export function untoldKey({ flow, id }: IncidentKey): Row {
  return { pk: { S: flow }, sk: { S: `${untoldPrefix}${id}` } }
}

/** One write of a transaction. A transaction is refused when the condition of one does not hold. */
export type RowWrite =
  | {
      readonly kind: 'update'
      readonly key: Row
      readonly set: Row
      readonly setIfAbsent?: Row
      readonly remove?: readonly string[]
    }
  /** With `unchanged`: on condition that the row still has exactly its attributes' values. */
  | { readonly kind: 'delete'; readonly key: Row; readonly unchanged?: StoredRow }

export type Stored = { readonly open: StoredRow | null; readonly ended: StoredRow | null }

/** The attributes of a former row that a later detection keeps. */
const kept = ['detectedAtMs', 'resolution', 'resolvedAtMs', 'told'] as const

/**
 * The writes that store an incident, whichever of its rows exist: the first time of detection
 * stays, and the first resolution of an ended one. One that is detected open is open again.
 */
export function recordWrites(
  incident: Incident,
  { open, ended }: Stored,
  keepMs: number,
): readonly RowWrite[] {
  const { set, setIfAbsent, remove } = incidentChange(incident)
  if (incident.resolution === 'open') {
    const before = pick(ended, ['detectedAtMs', 'told'])
    const update = { kind: 'update', key: incidentKey(incident), set, remove } as const
    const writes = { ...update, setIfAbsent: { ...setIfAbsent, ...before } }
    if (ended === null) return [writes]
    return [writes, { kind: 'delete', key: endedIncidentKey(incident) }, unmark(incident)]
  }
  const expires = expiresAt(incident.detectedAtMs, keepMs)
  const update: RowWrite = {
    kind: 'update',
    key: endedIncidentKey(incident),
    set: { ...set, ...expires },
    setIfAbsent: { ...setIfAbsent, ...pick(open, kept) },
    remove,
  }
  const left: RowWrite[] = open === null ? [] : [{ kind: 'delete', key: incidentKey(incident) }]
  return [update, ...left, mark(incident, expires)]
}

/**
 * The writes that end an open incident. They are refused when its row has changed since `open` was
 * read, and then to be made anew.
 */
export function endWrites(
  key: IncidentKey,
  open: StoredRow,
  { ending, keepMs }: { readonly ending: IncidentEnding; readonly keepMs: number },
): readonly RowWrite[] {
  return moveWrites(key, open, { ...endingAttributes(ending), ...expiryOf(open, ending, keepMs) })
}

/** The writes that move a row that an earlier version ended in place. */
export function moveEndedWrites(
  key: IncidentKey,
  row: StoredRow,
  { nowMs, keepMs }: { readonly nowMs: number; readonly keepMs: number },
): readonly RowWrite[] {
  return moveWrites(key, row, expiryOf(row, { nowMs }, keepMs))
}

/** True for a row that has ended; a row without a valid resolution must not pass for one. */
export function hasEnded({ resolution }: StoredRow): boolean {
  return endings.some(each => each === resolution?.S)
}

/** Attributes whose names gapless does not write, and that no expression can name, stay behind. */
function attributesOf(row: StoredRow): StoredRow {
  const named = Object.entries(row).filter(([name]) => /^\w+$/.test(name))
  return Object.fromEntries(named.filter(([name]) => name !== 'pk' && name !== 'sk'))
}

function moveWrites(key: IncidentKey, row: StoredRow, changes: Row): readonly RowWrite[] {
  const attributes = attributesOf(row)
  const set = { ...(attributes as Row), ...changes }
  const expires: Row = { expiresAtS: changes.expiresAtS as Attribute }
  return [
    { kind: 'update', key: endedIncidentKey(key), set },
    { kind: 'delete', key: incidentKey(key), unchanged: attributes },
    mark(key, expires),
  ]
}

function mark(key: IncidentKey, expires: Row): RowWrite {
  return { kind: 'update', key: untoldKey(key), set: expires }
}

function unmark(key: IncidentKey): RowWrite {
  return { kind: 'delete', key: untoldKey(key) }
}

/** The clock of who ends it may be behind: an incident is kept from its detection on at least. */
function expiryOf(row: StoredRow, { nowMs }: { readonly nowMs: number }, keepMs: number): Row {
  const detectedAtMs = Number(row.detectedAtMs?.N ?? 0)
  return expiresAt(Number.isFinite(detectedAtMs) ? Math.max(nowMs, detectedAtMs) : nowMs, keepMs)
}

function expiresAt(fromMs: number, keepMs: number): Row {
  return { expiresAtS: { N: String(Math.floor((fromMs + keepMs) / 1000)) } }
}

function pick(row: StoredRow | null, names: readonly string[]): Row {
  const present = names.flatMap(name => (row?.[name] === undefined ? [] : [[name, row[name]]]))
  return Object.fromEntries(present)
}

/** The id of an incident, from any of its keys. */
export function idOf({ sk }: StoredRow): string {
  for (const prefix of [endedPrefix, untoldPrefix, incidentPrefix]) {
    if (sk?.S?.startsWith(prefix)) return sk.S.slice(prefix.length)
  }
  return sk?.S ?? ''
}
