// Owns the notification that operators receive about incidents: which state of an incident was last
// notified, and the text with topic, partition, range and the command to run. Does not own the
// sentences (incident-lines.ts) nor the sending (io/alert-topic.ts).

import { cutText } from '../cut-text.ts'
import type { Incident } from '../incident.ts'
import { incidentLines } from './incident-lines.ts'

/**
 * The state of an incident of which operators were notified; another range or resolution is
 * notified again. Stored in the incident's row, so that a version stored while a notification was
 * sent is not taken for notified.
 */
export function toldState({ resolution, foundOffset, lostRecordsMax }: Incident): string {
  return [resolution, foundOffset ?? '-', lostRecordsMax ?? '-'].join(' ')
}

export type Notification = { readonly subject: string; readonly text: string }

/** SNS refuses a longer subject, and control characters in it. */
const SUBJECT_LENGTH_MAX = 100

/** SNS refuses more than 256 KiB, and the envelope of a subscription needs some of them. */
const TEXT_BYTES_MAX = 200 * 1024

/** Longer than any fact that gapless writes itself; the answer of a broker has any length. */
const FACT_BYTES_MAX = 1024

/**
 * One notification about several incidents of a flow, in the order of their detection. SNS takes it
 * whatever the incidents hold: a long fact is cut, and incidents that do not fit are counted.
 */
export function notificationOf(
  { stage, flow }: { readonly stage: string; readonly flow: string },
  incidents: readonly Incident[],
): Notification {
  const [first] = incidents
  const open = incidents.filter(each => each.resolution === 'open').length
  const what = incidents.length === 1 && first !== undefined ? headline(first) : null
  const counts = `${incidents.length} incidents, ${open} open`
  return {
    subject: `gapless ${stage} ${flow}: ${what ?? counts}`
      .replaceAll(/[^\x20-\x7e]/g, '?')
      .slice(0, SUBJECT_LENGTH_MAX),
    text: [
      ...fitting(incidents.map(each => [...describe(withShortFacts(each)), ''].join('\n'))),
      `All of them: gapless incidents --flow ${flow}`,
      'What each kind means and what to do: docs/INCIDENTS.md',
    ].join('\n'),
  }
}

/** Facts are cut, and not the sentences around them: these end with the command to run. */
function withShortFacts(incident: Incident): Incident {
  const facts = Object.entries(incident.evidence).map(([name, value]) => [
    name,
    cutText(value, FACT_BYTES_MAX),
  ])
  return { ...incident, evidence: Object.fromEntries(facts) }
}

/** The texts that fit into one notification, and a line about the others. */
function fitting(texts: readonly string[]): string[] {
  const told: string[] = []
  // The lines behind the incidents take less than this.
  let bytesLeft = TEXT_BYTES_MAX - 1024
  for (const text of texts) {
    bytesLeft -= Buffer.byteLength(text) + 1
    if (bytesLeft < 0) break
    told.push(text)
  }
  const leftOut = texts.length - told.length
  return leftOut === 0 ? told : [...told, `${leftOut} more incidents do not fit in here.`]
}

function headline({ kind, topic, partition, resolution }: Incident): string {
  const where = [topic, partition].filter(each => each !== null).join('-')
  return [kind, where, resolution].filter(each => each !== '').join(' ')
}

function describe(incident: Incident): string[] {
  const { id, kind, resolution, expectedOffset, foundOffset, lostRecordsMax } = incident
  const facts = [
    `expected offset ${expectedOffset ?? '-'}`,
    `found ${foundOffset ?? '-'}`,
    `lost at most ${lostRecordsMax ?? '-'}`,
  ]
  // The sentences say how to go on, which would be wrong for an incident that has ended.
  const isOver = resolution === 'resumed' || resolution === 'recovered'
  const sentences = isOver
    ? [`${headline(incident)}: nothing to do.`]
    : incidentLines(incident).map(each => each.text)
  return [...sentences, `  ${kind}, ${resolution}; ${facts.join(', ')}; incident ${id}`]
}
