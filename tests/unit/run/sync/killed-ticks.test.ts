// A tick that dies at any of its requests, or runs beside another one, leaves no group behind: the
// next tick knows which offsets on the standby are its own, and goes on. An offset that it did not
// commit it leaves alone.

import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { groupClaimMs } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import type { GroupAdmin } from '../../../../lib/io/admin/group-admin.ts'
import { systemClock } from '../../../../lib/io/clock.ts'
import type { Cluster } from '../../../../lib/io/cluster/cluster.ts'
import { createGroupStore, type GroupStore } from '../../../../lib/io/sync/group-store.ts'
import type { GroupPlaces } from '../../../../lib/run/sync/group-places.ts'
import type { GroupReport } from '../../../../lib/run/sync/looked-group.ts'
import { syncGroup } from '../../../../lib/run/sync/sync-group.ts'
import { createMemoryDynamoDb } from '../../../support/table/memory-dynamodb.ts'
import { createRows } from '../../../support/table/memory-rows.ts'
import { parseFlow } from '../../../support/worlds/parsed-flow.ts'

const flow = parseFlow({
  clusters: { primary: { brokers: 'p:1' }, standby: { brokers: 's:1' } },
  flows: [{ name: 'orders', from: 'primary', to: 'standby', topics: ['t'], naming: 'identity' }],
})

/** Ends a tick as a process that dies does: nothing of it happens any more. */
class Killed extends Error {}

/** A place on the standby lies ten offsets before the one on the source. */
const DISTANCE = 10n
const SOURCE_END = 1_000n
const standbyLog = { start: targetOffset(0n), end: targetOffset(SOURCE_END - DISTANCE) }
const placeOf = (offset: bigint) => targetOffset(offset - DISTANCE)

const places: GroupPlaces = {
  placeOf: (_, offset) => {
    return { kind: 'exact', targetOffset: placeOf(offset), rereadRecordsMax: 0n }
  },
  logsOf: () => {
    const end = sourceOffset(SOURCE_END)
    return { copiedTo: end, sourceEnd: end, standby: standbyLog }
  },
}

const TICK_MS = 60_000
const at = { topic: 't', partition: 0 }

/** Every request of a tick passes here. */
type Pass = <T>(name: string, request: () => Promise<T>) => Promise<T>

const unhindered: Pass = (_, request) => request()

/** The tick dies at its request number `index`: before it is sent, or before it is answered. */
function dyingAt(index: number, isPerformed: boolean): Pass {
  let count = 0
  return async (_, request) => {
    count += 1
    if (count !== index) return request()
    if (isPerformed) await request()
    throw new Killed()
  }
}

/** A group, its offset on either side, and the table. */
function createWorld() {
  const store = createGroupStore(createMemoryDynamoDb(createRows()), 'memory')
  let source = 0n
  let standby: bigint | null = null
  let nowMs = 1_700_000_000_000
  const commits: bigint[] = []
  const perform: GroupAdmin['commitOffsets'] = async (_, offsets) => {
    for (const { offset } of offsets) {
      commits.push(offset)
      standby = offset
    }
    return offsets.map(each => ({ ...each, kind: 'committed' as const, errorName: 'NONE' }))
  }
  const tick = async (pass: Pass): Promise<GroupReport | undefined> => {
    const rows = await pass('rows', () => store.list(flow.name))
    const read = await pass('source', async () => source)
    const readAtMs = nowMs
    const there = await pass('standby', async () => standby)
    const groupRows: Pick<GroupStore, 'write'> = {
      write: input => pass('write', () => store.write(input)),
    }
    const targetGroups: Pick<GroupAdmin, 'commitOffsets'> = {
      commitOffsets: (group, offsets) => pass('commit', () => perform(group, offsets)),
    }
    const deps = {
      ...{ targetGroups, groupRows, clock: { ...systemClock, nowMs: () => nowMs } },
      target: { name: 'standby' } as Cluster,
    } as unknown as Parameters<typeof syncGroup>[0]
    const offset = { ...at, offset: read, metadata: null }
    const committed = there === null ? [] : [{ ...at, offset: there, metadata: null }]
    const [report] = await syncGroup(deps, flow, {
      group: { group: 'g', type: 'classic', offsets: [offset], problem: null, note: null },
      standby: { group: 'g', kind: 'read', offsets: committed },
      row: rows.rows[0] ?? null,
      isActive: false,
      readAtMs,
      places,
      mayCommit: true,
    })
    return report
  }
  return {
    commits,
    standby: () => standby,
    source: (offset: number) => {
      source = BigInt(offset)
    },
    /** As another client does, or the broker by its retention. */
    setStandby: (offset: number | null) => {
      standby = offset === null ? null : BigInt(offset)
    },
    later: (ms = TICK_MS) => {
      nowMs += ms
    },
    /** One tick; null: it was killed. */
    async tick(pass: Pass = unhindered): Promise<GroupReport | null | undefined> {
      try {
        return await tick(pass)
      } catch (error) {
        if (error instanceof Killed) return null
        throw error
      }
    },
  }
}

let world: ReturnType<typeof createWorld>
beforeEach(() => {
  world = createWorld()
})

const REQUESTS = ['rows', 'source', 'standby', 'write', 'commit']

test('a tick makes the requests at which it is killed below, in this order', async () => {
  const made: string[] = []
  world.source(100)
  await world.tick((name, request) => {
    made.push(name)
    return request()
  })
  expect(made).toEqual(REQUESTS)
})

describe('a tick that dies', () => {
  for (const [index, name] of REQUESTS.entries()) {
    for (const isPerformed of [false, true]) {
      const when = isPerformed ? 'before the answer of' : 'before'
      test(`${when} its request ${index + 1} (${name}) is made good by the next one`, async () => {
        for (const offset of [100, 200, 150, 300]) {
          world.source(offset)
          world.later()
          expect(await world.tick(dyingAt(index + 1, isPerformed))).toBe(null)
          world.later()
          expect(await world.tick()).toMatchObject({ state: 'synced', recordsReread: 0n })
          expect(world.standby()).toBe(placeOf(BigInt(offset)))
        }
      })
    }
  }

  test('any number of times, while the group goes on and back, leaves the group synced by the first tick that lives', async () => {
    const death = fc.record({
      offset: fc.integer({ min: 10, max: 1_000 }),
      at: fc.integer({ min: 1, max: REQUESTS.length }),
      isPerformed: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(death, { maxLength: 12 }), async deaths => {
        const world = createWorld()
        for (const { offset, at, isPerformed } of deaths) {
          world.source(offset)
          world.later()
          await world.tick(dyingAt(at, isPerformed))
        }
        world.source(500)
        world.later()
        expect(await world.tick()).toMatchObject({ state: 'synced' })
        expect(world.standby()).toBe(placeOf(500n))
      }),
    )
  })
})

test('of two ticks at once in any order, the group is left at a place of its own, and the next tick has it synced', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.boolean(), async (scheduler, isNew) => {
      const world = createWorld()
      world.source(100)
      if (!isNew) await world.tick()
      world.later()
      const pass: Pass = async (_, request) => {
        await scheduler.schedule(Promise.resolve())
        return request()
      }
      const moving = (async () => {
        await scheduler.schedule(Promise.resolve())
        world.source(200)
      })()
      const ticks = Promise.all([world.tick(pass), world.tick(pass)])
      await scheduler.waitFor(Promise.all([ticks, moving]))
      // Before the first commit there was nothing.
      const places: (bigint | null)[] = [null, placeOf(100n), placeOf(200n)]
      expect(places).toContain(world.standby())
      world.later()
      expect(await world.tick()).toMatchObject({ state: 'synced' })
      expect(world.standby()).toBe(placeOf(200n))
    }),
    { numRuns: 300 },
  )
})

test('while another tick may still be about to commit, the group is left to it', async () => {
  world.source(100)
  await world.tick()
  world.later()
  world.source(200)
  await world.tick(dyingAt(REQUESTS.length, false))
  world.later(groupClaimMs - 1)
  expect(await world.tick()).toMatchObject({ state: 'not-synced', standbyOffset: 90n })
  expect(world.commits).toEqual([90n])
  world.later(1)
  expect(await world.tick()).toMatchObject({ state: 'synced', standbyOffset: 190n })
})

test.each(['standby', 'write'])(
  'a tick that was frozen behind its request %s commits nothing when it wakes up',
  async frozenAt => {
    world.source(100)
    const report = await world.tick(async (name, request) => {
      const answer = await request()
      if (name === frozenAt) world.later(10 * TICK_MS)
      return answer
    })
    expect(report).toMatchObject({ state: 'not-synced', reason: 'the tick took too long' })
    expect(world.commits).toEqual([])
  },
)

test('an offset of another client is never overwritten, whichever ticks died before', async () => {
  const step = fc.record({
    offset: fc.integer({ min: 10, max: 1_000 }),
    at: fc.option(fc.integer({ min: 1, max: REQUESTS.length })),
    isPerformed: fc.boolean(),
  })
  const steps = fc.array(step, { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(steps, steps, fc.integer({ min: 0, max: 990 }), async (some, more, moved) => {
      const world = createWorld()
      const play = async (each: (typeof some)[number]) => {
        world.source(each.offset)
        world.later()
        await world.tick(each.at === null ? unhindered : dyingAt(each.at, each.isPerformed))
      }
      for (const each of some) await play(each)
      // An offset that was intended counts as ours: one that no tick knew is another client's.
      const isKnown = [...some, ...more].some(
        each => BigInt(moved) === placeOf(BigInt(each.offset)),
      )
      fc.pre(!isKnown)
      world.setStandby(moved)
      for (const each of more) {
        await play(each)
        expect(world.standby()).toBe(BigInt(moved))
      }
    }),
  )
})

test('an offset that expired comes back, a group that stands still is refreshed after half a day, and otherwise nothing is committed', async () => {
  world.source(100)
  await world.tick()
  world.setStandby(null)
  world.later()
  await world.tick()
  expect(world.commits).toEqual([90n, 90n])
  for (let minute = 0; minute < 12 * 60 - 1; minute += 1) {
    world.later()
    await world.tick()
  }
  expect(world.commits).toHaveLength(2)
  world.later()
  await world.tick()
  expect(world.commits).toEqual([90n, 90n, 90n])
})
