// The story of the fail-over drill: a planned fail-over, writing on the standby, the way back, an
// unplanned fail-over with the primary killed in the middle of writes, and the way back from that.
// Between two commands all that gapless knows is in the table. Does not own the applications and
// the clusters (failover-world.ts).

import { readFile } from 'node:fs/promises'
import { type Account, accountOf } from '../../lib/core/drill/account.ts'
import type { FailbackReport } from '../../lib/run/failback/failback-report.ts'
import type { FailoverReport } from '../../lib/run/failover/failover-report.ts'
import { StackError } from '../processes/stack-error.ts'
import { until } from '../processes/until.ts'
import type { DrillWorld, Reading, Side, Writing } from './failover-world.ts'
import type { Ended } from './run-gapless.ts'
import type { Measured } from './scenarios.ts'

/** Events that the reader has read before each move. */
const actEvents = 2_000

/** The applications of all acts. */
type Lives = { readonly writers: Writing[]; readonly readers: Reading[] }

type Stage = { readonly world: DrillWorld; readonly measured: Measured; readonly lives: Lives }

export async function tellStory(world: DrillWorld, measured: Measured): Promise<void> {
  const stage: Stage = { world, measured, lives: { writers: [], readers: [] } }
  await failOverAsPlanned(stage)
  await failBackAsPlanned(stage)
  await failOverWithoutAPlan(stage)
  await failBackFromADisaster(stage)
}

async function failOverAsPlanned(stage: Stage): Promise<void> {
  const { world, measured } = stage
  measured.note('act 1: a planned fail-over')
  const { writer } = await useBoth(stage, 'primary')
  await copyAndSync(stage)
  await writer.stop()
  const report = await move<FailoverReport>(stage, ['failover', '--planned'])
  measured.check('  state', 'failed-over', report.state)
  measured.check('  records missing, at most', 0, missingOf(report))
  const unsynced = report.groups.filter(each => each.state !== 'synced')
  measured.check('  group offsets that are not synced', 0, unsynced.length)
  const reader = await read(stage, 'standby')
  await untilAllIsRead(stage)
  const rtoMs = (reader.firstAtMs() ?? 0) - writer.lastAtMs()
  measured.note(
    `RTO ${rtoMs} ms, from the last record written to the first one read; RPO 0 records`,
  )
  checkAccount(stage, { notRead: 0, readAgain: 0 })
  measured.note('act 2: applications write on the standby')
  const onStandby = await write(stage, 'standby')
  await reader.untilRead(reader.ids.length + actEvents)
  await reader.stop()
  await onStandby.stop()
  const status = await world.gapless(['status', '--json'])
  measured.check('exit code of "gapless status" meanwhile', 0, status.code)
}

async function failBackAsPlanned(stage: Stage): Promise<void> {
  const { measured } = stage
  measured.note('act 3: the way back')
  const startedMs = Date.now()
  const report = await move<FailbackReport>(stage, ['failback'])
  measured.check('  state', 'active', report.state)
  await read(stage, 'primary')
  await untilAllIsRead(stage)
  measured.note(`took ${Date.now() - startedMs} ms`)
  checkAccount(stage, { notRead: 0, readAgain: 0 })
  await endReading(stage)
}

async function failOverWithoutAPlan(stage: Stage): Promise<void> {
  const { world, measured, lives } = stage
  measured.note('act 4: the primary is killed in the middle of writes')
  const { writer, reader: earlier } = await useBoth(stage, 'primary')
  const copying = copyAgainAndAgain(world)
  await earlier.untilRead(2 * actEvents)
  await endReading(stage)
  const sync = await world.gapless(['sync', '--json'])
  measured.check('exit code of "gapless sync"', 0, sync.code)
  await world.clusters.primary.kill()
  const killedMs = Date.now()
  await writer.stop()
  await copying.end()
  const report = await move<FailoverReport>(stage, ['failover', '--unplanned'])
  measured.check('  state', 'failed-over', report.state)
  const before = account(stage)
  const reader = await read(stage, 'standby')
  const there = await world.idsOn('standby')
  const hasRead = () => new Set(lives.readers.flatMap(each => each.ids))
  await until('all that the standby has is read', async () => {
    const known = hasRead()
    return there.every(each => known.has(each))
  })
  const after = account(stage)
  const rtoMs = (reader.firstAtMs() ?? Date.now()) - killedMs
  // The reader may have read on the primary what never travelled, so its account says too little.
  const lost = account(stage, [there]).notRead
  measured.note(
    `RTO ${rtoMs} ms, from the kill to the first record read; RPO ${lost} of ${after.written} ` +
      `acknowledged events; ${after.readAgain - before.readAgain} events were read again`,
  )
  measured.check('  foreign events', 0, after.foreign)
  const onStandby = await write(stage, 'standby')
  await reader.untilRead(reader.ids.length + actEvents)
  await reader.stop()
  await onStandby.stop()
}

async function failBackFromADisaster(stage: Stage): Promise<void> {
  const { world, measured, lives } = stage
  measured.note('act 5: the primary is back, with records that never travelled')
  await world.clusters.primary.restart()
  const toTopic = ['--export-topic', world.exportTopic]
  const refused = await world.gapless(['failback', '--yes', '--json', ...toTopic])
  const divergent = (JSON.parse(refused.stdout) as FailbackReport).partitions
    .map(each => Number(each.divergentRecords ?? 0))
    .reduce((sum, each) => sum + each, 0)
  measured.note(`${divergent} records of the primary never travelled`)
  measured.check('exit code of "gapless failback", which asks', divergent > 0 ? 3 : 0, refused.code)
  if (divergent > 0) {
    measured.check('  records in the exported topic', divergent, await world.exportedRecords())
    const options = ['--divergent', 'append', '--export', world.exportFile]
    await move<FailbackReport>(stage, ['failback', ...options])
    const lines = (await readFile(world.exportFile, 'utf8')).trim().split('\n')
    measured.check('  records in the exported file', divergent, lines.length)
  }
  await copyAndSync(stage)
  const sides = await Promise.all([world.idsOn('primary'), world.idsOn('standby')])
  const sent = new Set(lives.writers.flatMap(each => each.acknowledged))
  const onPrimary = new Set(sides[0])
  const missing = [...sent].filter(each => !onPrimary.has(each)).length
  measured.check('events that are not on the primary', 0, missing)
  measured.check('events twice on the primary', 0, sides[0].length - onPrimary.size)
  measured.check('events twice on the standby', 0, sides[1].length - new Set(sides[1]).size)
}

/** Both applications run on one side, until the reader has read a part of what was written. */
async function useBoth(stage: Stage, side: Side): Promise<{ writer: Writing; reader: Reading }> {
  const writer = await write(stage, side)
  const reader = await read(stage, side)
  await reader.untilRead(actEvents)
  return { writer, reader }
}

async function write({ world, lives }: Stage, side: Side): Promise<Writing> {
  const writer = await world.write(side)
  lives.writers.push(writer)
  return writer
}

async function read({ world, lives }: Stage, side: Side): Promise<Reading> {
  const reader = await world.read(side)
  lives.readers.push(reader)
  return reader
}

async function endReading({ lives }: Stage): Promise<void> {
  await lives.readers.at(-1)?.stop()
}

/** A tick of both functions. Between them the reader stops, so that its last offsets are seen. */
async function copyAndSync(stage: Stage): Promise<void> {
  const { world, measured } = stage
  const run = await world.gapless(['run', '--once'])
  measured.check('exit code of "gapless run --once"', 0, run.code)
  await endReading(stage)
  const sync = await world.gapless(['sync', '--json'])
  measured.check('exit code of "gapless sync"', 0, sync.code)
  if (sync.code !== 0) measured.note(sync.stderr.trim())
}

/** One run behind the other, as the schedule of the functions would have them. */
function copyAgainAndAgain(world: DrillWorld): { end(): Promise<void> } {
  let isEnding = false
  const copying = (async () => {
    while (!isEnding) await world.gapless(['run', '--once'])
  })()
  return {
    end: async () => {
      isEnding = true
      await copying
    },
  }
}

/** A command that moves the flow, to its end. */
async function move<R extends { readonly state: string }>(
  { world, measured }: Stage,
  args: readonly string[],
): Promise<R> {
  const startedMs = Date.now()
  const ended = await world.gapless([...args, '--yes', '--json'])
  measured.check(`exit code of "gapless ${args.slice(0, 2).join(' ')}"`, 0, ended.code)
  measured.note(`it took ${Date.now() - startedMs} ms`)
  return reportOf<R>(args, ended)
}

function reportOf<R>(args: readonly string[], { stdout, stderr }: Ended): R {
  try {
    return JSON.parse(stdout) as R
  } catch {
    throw new StackError(`"gapless ${args.join(' ')}" printed no report:`, stderr.trim())
  }
}

function missingOf({ partitions }: FailoverReport): bigint {
  return partitions.reduce((sum, each) => sum + BigInt(each.recordsMissing ?? 0), 0n)
}

/** `read`: left out, what the reader has read in all its lives. */
function account({ lives }: Stage, read?: readonly (readonly string[])[]): Account {
  const { writers, readers } = lives
  return accountOf({
    acknowledged: writers.map(each => each.acknowledged),
    unknown: writers.map(each => each.unknown),
    read: read ?? readers.map(each => each.ids),
  })
}

async function untilAllIsRead(stage: Stage): Promise<void> {
  await until('every event is read', async () => account(stage).notRead === 0)
}

function checkAccount(stage: Stage, wanted: Pick<Account, 'notRead' | 'readAgain'>): void {
  const found = account(stage)
  stage.measured.check('  events never read', wanted.notRead, found.notRead)
  stage.measured.check('  events read again', wanted.readAgain, found.readAgain)
  stage.measured.check('  foreign events', 0, found.foreign)
  stage.measured.note(`${found.written} events were written so far`)
}
