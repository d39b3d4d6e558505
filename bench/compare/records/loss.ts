// Owns the sentence about one recovery: the records lost and duplicated, as a reader of the copy
// counts them, and what the contender itself reported.

import { readFile, stat } from 'node:fs/promises'
import { lostRange } from '../../../lib/core/incident.ts'
import type { Contender, Job } from '../contenders/contender.ts'
import { listIncidents } from '../contenders/gapless.ts'
import { logFileOf } from '../contenders/mirror-maker.ts'
import { contenderNames } from '../results/results.ts'
import type { Scene } from '../sections/scene.ts'
import type { Balance } from './copy-reader.ts'

/**
 * Logged by Kafka's consumer when its position is not in the log (AbstractFetch,
 * SubscriptionState).
 */
const outOfRange = /\b(INFO|WARN|ERROR)\b.*out of range/
const count = new Intl.NumberFormat('en-US')

export function isGapless({ name }: Contender): boolean {
  return name === contenderNames.gapless512 || name === contenderNames.gapless1024
}

/** The size of a contender's log when the fault came; earlier lines do not count. */
export async function logEndOf(contender: Contender, job: Job): Promise<number> {
  return isGapless(contender) ? 0 : (await stat(logFileOf(job))).size
}

/** `logFrom`: from `logEndOf`. `more`: notes that belong to the figure. */
export async function tellOf(input: {
  readonly scene: Scene
  readonly contender: Contender
  readonly job: Job
  readonly logFrom: number
  readonly balance: Balance
  readonly more: readonly string[]
}): Promise<string> {
  const { scene, contender, job, logFrom, balance, more } = input
  const said = isGapless(contender)
    ? (await listIncidents(scene.aws, job)).map(incident => {
        const range = lostRange(incident)
        const where = range === null ? '' : ` of offsets ${range.from} to ${range.to - 1n}`
        return `incident ${incident.kind}${where} (${incident.resolution})`
      })
    : linesOf((await readFile(logFileOf(job), 'latin1')).slice(logFrom))
  const lost = balance.lost === 0 ? 'nothing lost' : `${count.format(balance.lost)} lost`
  const twice = balance.twice === 0 ? [] : [`${count.format(balance.twice)} twice`]
  const about = said.length === 0 ? 'said nothing' : said.join(' and ')
  return [lost, ...twice, about, ...more].join(', ')
}

function linesOf(log: string): string[] {
  const levels = log.split('\n').flatMap(line => outOfRange.exec(line)?.[1] ?? [])
  const [level] = levels
  if (level === undefined) return []
  return [
    `${levels.length === 1 ? 'one line' : `${levels.length} lines`} at ${level}: "out of range"`,
  ]
}
