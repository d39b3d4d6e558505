// Owns reading the history of incidents, which may be longer than memory: page by page, with the
// newest ones kept. Owns moving what an earlier version ended in place, too. Does not own single
// incidents (incident-store.ts).

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { incidentKeptMs, movedIncidentsMax } from '../../core/config/defaults.ts'
import type { Incident } from '../../core/incident.ts'
import { hasEnded, idOf, moveEndedWrites } from '../../core/row/incident-moves.ts'
import {
  byDetection,
  type CorruptIncident,
  endedPrefix,
  incidentPrefix,
  readIncidents,
} from '../../core/row/incident-row.ts'
import { tableWrite } from './incident-store.ts'
import { listRows, pagesOf, writeTogether } from './table-request.ts'

export type Wanted = {
  readonly flows: readonly string[]
  readonly which: 'open' | 'all'
  /** Only incidents that were detected at this time or later: Unix time, ms. */
  readonly sinceMs: number
  /** The newest ones, so many; the older ones are counted. */
  readonly limit: number
}

export type NewestIncidents = {
  /** Oldest first. */
  readonly incidents: readonly Incident[]
  /** How many older ones there are beyond the limit. */
  readonly leftOut: number
  readonly corrupt: readonly (CorruptIncident & { readonly flow: string })[]
}

export type IncidentHistory = {
  newest(wanted: Wanted): Promise<NewestIncidents>
  /**
   * Moves incidents that an earlier version ended in place to the history, `movedIncidentsMax` at a
   * time. Returns how many there were.
   */
  moveEnded(flow: string, nowMs: number): Promise<number>
}

export function createIncidentHistory(client: DynamoDBClient, table: string): IncidentHistory {
  const target = { client, table }
  return {
    async newest({ flows, which, sinceMs, limit }) {
      let newest: Incident[] = []
      let found = 0
      const corrupt: (CorruptIncident & { readonly flow: string })[] = []
      const keep = (incidents: readonly Incident[]) => {
        const wanted = incidents.filter(
          each => each.detectedAtMs >= sinceMs && (which === 'all' || each.resolution === 'open'),
        )
        found += wanted.length
        newest = [...newest, ...wanted].sort(byDetection).slice(-limit)
      }
      const prefixes = which === 'open' ? [incidentPrefix] : [incidentPrefix, endedPrefix]
      for (const flow of flows) {
        for (const prefix of prefixes) {
          const purpose = `listing the incidents of flow ${flow}`
          for await (const page of pagesOf(target, purpose, { flow, prefix })) {
            const read = readIncidents(page)
            keep(read.incidents)
            corrupt.push(...read.corrupt.map(each => ({ ...each, flow })))
          }
        }
      }
      return { incidents: newest, leftOut: found - newest.length, corrupt }
    },
    async moveEnded(flow, nowMs) {
      const purpose = `moving ended incidents of flow ${flow} to the history`
      const rows = await listRows(target, purpose, { flow, prefix: incidentPrefix })
      const ended = rows.filter(hasEnded).slice(0, movedIncidentsMax)
      for (const row of ended) {
        const key = { flow, id: idOf(row) }
        const writes = moveEndedWrites(key, row, { nowMs, keepMs: incidentKeptMs })
        // Refused when the row has changed since: the next tick moves it.
        await writeTogether(target, purpose, writes.map(tableWrite))
      }
      return ended.length
    },
  }
}
