// The three scenarios of run_challenge.sh. Between two steps of a scenario that depend on each
// other the functions' process is replaced by a new one, so that the table is the only memory. The
// last process of a scenario serves the first step of the next one: a start costs seconds, and each
// scenario has topics of its own.

import type { KafkaMessage } from 'kafkajs'
import type { Report } from '../processes/stack-error.ts'
import type { At, ChallengeWorld } from './world.ts'

export type Scenario = {
  readonly title: string
  run(world: ChallengeWorld, measured: Measured): Promise<void>
}

/** Prints each check's expected and found value, and counts the checks that fail. */
export type Measured = {
  check(what: string, expected: string | number | bigint, found: string | number | bigint): void
  note: Report
}

const whatColumns = 58

export function createMeasured(report: Report): Measured & { failures(): number } {
  let failures = 0
  return {
    check(what, expected, found) {
      const holds = String(expected) === String(found)
      if (!holds) failures += 1
      const verdict = holds ? 'ok  ' : 'FAIL'
      report(`  ${verdict} ${what.padEnd(whatColumns)} expected ${expected}, found ${found}`)
    },
    note: line => report(`  ${line}`),
    failures: () => failures,
  }
}

export const scenarios: Record<'test1' | 'test2' | 'test3', Scenario> = {
  test1: {
    title: 'normal: 1,000 events arrive 1:1, with a restart of the functions in between',
    run: replicatesOneToOne,
  },
  test2: {
    title:
      'truncation: retention removes records before they are replicated, while the functions are stopped',
    run: noticesTruncation,
  },
  test3: {
    title: 'reset: the topic is deleted and recreated, and outgrows the old position',
    run: noticesReset,
  },
}

async function replicatesOneToOne(world: ChallengeWorld, measured: Measured): Promise<void> {
  const at = { topic: await world.createTopic('normal', 1), partition: 0 }
  const startedMs = performance.now()
  const first = await world.produce(at, 600)
  await world.startFunctions()
  await arrive(world, measured, [{ at, count: 600 }])
  await world.stopFunctions()
  const second = await world.produce(at, 400)
  await world.startFunctions()
  await arrive(world, measured, [{ at, count: 1_000 }])
  await compare(world, measured, at, [...first, ...second])
  measured.check('incidents', 0, (await world.incidents()).length)
  measured.note(`took ${secondsSince(startedMs)} s, the functions restarted once`)
}

async function noticesTruncation(world: ChallengeWorld, measured: Measured): Promise<void> {
  const topic = await world.createTopic('truncated', 2)
  const cut = { topic, partition: 0 }
  const whole = { topic, partition: 1 }
  const other = { topic: await world.createTopic('other', 1), partition: 0 }
  const all = [cut, whole, other]
  const before = await produceToEach(world, all, 120)
  await world.startFunctions()
  await arrive(
    world,
    measured,
    all.map(at => ({ at, count: 120 })),
  )
  await world.stopFunctions()

  await world.produce(cut, 380)
  const retentionMs = performance.now()
  await world.truncateByRetention(cut, 500n)
  measured.note(
    `retention removed offsets [120, 500) of ${name(cut)} in ${secondsSince(retentionMs)} s`,
  )
  const after = await produceToEach(world, all, 50)
  await world.startFunctions()
  await world.tickUntil('the truncation is detected and the other partitions went on', async () => {
    const ends = await Promise.all([whole, other].map(world.standbyEnd))
    return ends.every(end => end === 170n) && (await incidentsOf(world, cut)).length > 0
  })
  await checkTruncation(world, measured, cut)
  await compare(world, measured, cut, before.of(cut))
  await compare(world, measured, whole, [...before.of(whole), ...after.of(whole)])
  await compare(world, measured, other, [...before.of(other), ...after.of(other)])
  await resumeTruncated(world, measured, cut)
  await compare(world, measured, cut, [...before.of(cut), ...after.of(cut)])
}

async function checkTruncation(world: ChallengeWorld, measured: Measured, at: At): Promise<void> {
  const all = await world.incidents()
  const incidents = all.filter(each => isOf(at, each))
  const [incident] = incidents
  measured.check(`incidents of ${name(at)}`, 1, incidents.length)
  measured.check('  its kind', 'log-truncated', incident?.kind ?? 'none')
  measured.check('  expected offset', 120, incident?.expectedOffset ?? 'none')
  measured.check('  found offset (the log start)', 500, incident?.foundOffset ?? 'none')
  measured.check('  records lost, at most', 380, incident?.lostRecordsMax ?? 'none')
  const others = all.length - incidents.length
  measured.check('incidents of the partitions that lost nothing', 0, others)
  const line =
    `CRITICAL: Log truncation detected for ${name(at)}. Expected offset 120, but got 500. ` +
    'Gap of 380 messages detected, '
  await checkLogged(world, measured, line)
  const status = await world.gapless(['status'])
  measured.check('exit code of "gapless status" (3: a partition is halted)', 3, status.code)
}

async function resumeTruncated(world: ChallengeWorld, measured: Measured, at: At): Promise<void> {
  await world.stopFunctions()
  const resumed = await world.gapless(['resume', `${at.topic}:${at.partition}`])
  measured.check('exit code of "gapless resume"', 0, resumed.code)
  if (resumed.code !== 0) measured.note(resumed.stderr.trim())
  await world.startFunctions()
  await arrive(world, measured, [{ at, count: 170 }])
  const [incident] = await incidentsOf(world, at)
  measured.check('  resolution of its incident', 'resumed', incident?.resolution ?? 'none')
  const status = await world.gapless(['status'])
  measured.check('exit code of "gapless status"', 0, status.code)
}

async function noticesReset(world: ChallengeWorld, measured: Measured): Promise<void> {
  const at = { topic: await world.createTopic('reset', 1), partition: 0 }
  const before = await world.produce(at, 100)
  await world.startFunctions()
  await arrive(world, measured, [{ at, count: 100 }])
  await world.stopFunctions()

  const reset = await world.gapless(['reset-topic', at.topic, '--yes'])
  measured.check('exit code of "gapless reset-topic"', 0, reset.code)
  if (reset.code !== 0) measured.note(reset.stderr.trim())
  // More records than the old topic had: the offsets do not show that the topic is another one.
  const after = await world.produce(at, 150)
  await world.startFunctions()
  await arrive(world, measured, [{ at, count: 250 }])
  const incidents = await incidentsOf(world, at)
  measured.check(`incidents of ${name(at)}`, 1, incidents.length)
  measured.check('  its kind', 'topic-reset', incidents[0]?.kind ?? 'none')
  measured.check(
    '  expected offset (in the old topic)',
    100,
    incidents[0]?.expectedOffset ?? 'none',
  )
  measured.check('  found offset (in the new topic)', 0, incidents[0]?.foundOffset ?? 'none')
  await checkLogged(world, measured, `Topic reset detected for ${name(at)}. `)
  const handling = `Handling topic reset for ${name(at)}. Seeking to beginning offset `
  await checkLogged(world, measured, handling)
  const recovered = `Successfully recovered from topic reset for ${name(at)}. `
  await checkLogged(world, measured, recovered)
  await compare(world, measured, at, [...before, ...after])
  const status = await world.gapless(['status'])
  measured.check('exit code of "gapless status"', 0, status.code)
}

async function produceToEach(world: ChallengeWorld, all: readonly At[], count: number) {
  const produced = new Map<string, readonly KafkaMessage[]>()
  for (const at of all) produced.set(name(at), await world.produce(at, count))
  return { of: (at: At): readonly KafkaMessage[] => produced.get(name(at)) ?? [] }
}

/** Invokes ticks until the standby's logs have grown to `count` records each. */
async function arrive(
  world: ChallengeWorld,
  measured: Measured,
  awaited: readonly { readonly at: At; readonly count: number }[],
): Promise<void> {
  const startedMs = performance.now()
  const names = awaited.map(({ at, count }) => `${count} of ${name(at)}`).join(', ')
  const ticks = await world.tickUntil(`the standby has ${names}`, async () => {
    const ends = await Promise.all(awaited.map(({ at }) => world.standbyEnd(at)))
    return awaited.every(({ count }, index) => (ends[index] ?? 0n) >= BigInt(count))
  })
  measured.note(`the standby has ${names} (${ticks} ticks, ${secondsSince(startedMs)} s)`)
}

/** Compares ids, values and timestamps, record by record. */
async function compare(
  world: ChallengeWorld,
  measured: Measured,
  at: At,
  expected: readonly KafkaMessage[],
): Promise<void> {
  const found = await world.readStandby(at)
  const ids = new Set(found.map(({ key }) => String(key)))
  const equal = expected.filter((event, index) => isSame(event, found[index]))
  const where = `primary.${name(at)}`
  measured.check(`events in ${where}`, expected.length, found.length)
  measured.check('  different ids', expected.length, ids.size)
  measured.check('  equal in id, value, timestamp and place', expected.length, equal.length)
}

function isSame(event: KafkaMessage, found: KafkaMessage | undefined): boolean {
  return (
    found !== undefined &&
    String(event.key) === String(found.key) &&
    String(event.value) === String(found.value) &&
    event.timestamp === found.timestamp
  )
}

async function checkLogged(
  world: ChallengeWorld,
  measured: Measured,
  start: string,
): Promise<void> {
  const lines = (await world.logged()).filter(line => line.startsWith(start))
  measured.check('log lines with the expected beginning', 1, lines.length)
  for (const line of lines.length === 0 ? [`(none of) ${start}...`] : lines) {
    measured.note(`       ${line}`)
  }
}

async function incidentsOf(world: ChallengeWorld, at: At) {
  return (await world.incidents()).filter(each => isOf(at, each))
}

function isOf(
  { topic, partition }: At,
  incident: { readonly topic: string | null; readonly partition: number | null },
): boolean {
  return incident.topic === topic && incident.partition === partition
}

/** The form in which log lines name a partition. */
function name({ topic, partition }: At): string {
  return `${topic}-${partition}`
}

function secondsSince(startedMs: number): string {
  return ((performance.now() - startedMs) / 1_000).toFixed(1)
}
