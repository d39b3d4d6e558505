// A fail-over on doubles, where it does not go as planned: the source grows behind the last look,
// it dies in the middle, a command that was frozen wakes, and ticks go on meanwhile.

import { expect, test } from 'vitest'
import { failOver } from '../../../../lib/run/failover/failover.ts'
import type { FailoverDeps } from '../../../../lib/run/failover/plan-failover.ts'
import { handOutWork } from '../../../../lib/run/plan/hand-out.ts'
import { planFlow } from '../../../../lib/run/plan/plan.ts'
import { batchWith, valuesIn, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

let ids = 0

function depsOf(world: World, more: Partial<FailoverDeps> = {}): FailoverDeps {
  ids += 1
  const by = `command-${ids}`
  return {
    ...world,
    ...{ owner: by, by },
    openTargetAdmin: () => expect.unreachable('a standby topic was created'),
    newId: () => {
      ids += 1
      return `id-${ids}`
    },
    confirm: async () => true,
    ...more,
  }
}

const planned = { how: 'planned', topics: null } as const
const unplanned = { how: 'unplanned', topics: null } as const

async function copiedWorld(): Promise<World> {
  const world = createWorld()
  world.createTopic('orders')
  writeNumbered(world.sourceLog('orders'), 6)
  await world.run('orders')
  return world
}

test('a source that grows behind the last look aborts a planned fail-over, and the flow goes on as before', async () => {
  const world = await copiedWorld()
  const granted: string[] = []
  const deps = depsOf(world, {
    // A producer that was not stopped writes while groups are synced.
    syncGroups: async () => {
      writeNumbered(world.sourceLog('orders'), 3, { from: 6 })
      return []
    },
    grantWrite: async () => {
      granted.push('write')
    },
  })

  const result = await failOver(deps, world.flow, planned)

  expect(result).toMatchObject({ kind: 'aborted', state: { kind: 'active' } })
  expect(result.problems).toEqual([expect.stringContaining('the source ends at 9')])
  expect(granted).toEqual([])
  const next = await world.run('orders')
  expect(next.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 3n }])
  expect(valuesIn(world.targetLog('orders'))).toEqual(valuesIn(world.sourceLog('orders')))
  expect(await world.storedIncidents()).toEqual([])
})

test('records of others on the standby before the fence are no proof: a planned fail-over is aborted', async () => {
  const world = await copiedWorld()
  const syncGroups = async () => {
    writeNumbered(world.targetLog('orders'), 1, { from: 70 })
    return []
  }
  const result = await failOver(depsOf(world, { syncGroups }), world.flow, planned)
  expect(result.kind).toBe('aborted')
  expect(result.problems).toEqual([expect.stringContaining('1 records of others')])
})

test('a planned fail-over that ended in the middle goes on as an unplanned one, after a question, and not back', async () => {
  const world = await copiedWorld()
  const dies = () => Promise.reject(new Error('the process has died'))
  await expect(failOver(depsOf(world, { syncGroups: dies }), world.flow, planned)).rejects.toThrow(
    'has died',
  )
  // What the source got since would abort a planned one.
  writeNumbered(world.sourceLog('orders'), 3, { from: 6 })
  const answers = [false, true]
  const confirm = async () => answers.shift() === true

  const declined = await failOver(depsOf(world, { confirm }), world.flow, unplanned)
  const done = await failOver(depsOf(world, { confirm }), world.flow, unplanned)

  expect(declined).toMatchObject({ kind: 'declined', state: { kind: 'failing-over' } })
  expect(done).toMatchObject({
    kind: 'done',
    state: { kind: 'failed-over', decision: { how: 'unplanned' } },
    partitions: [{ nextSourceOffset: 6n, sourceLogEndOffset: 9n, recordsMissing: 3n }],
  })
  expect(answers).toEqual([])
  const again = await failOver(depsOf(world), world.flow, planned)
  expect(again).toMatchObject({ kind: 'done', state: { decision: { how: 'unplanned' } } })
})

test('a tick that planned before the decision hands nothing out, and none plans anything afterwards', async () => {
  const world = await copiedWorld()
  writeNumbered(world.sourceLog('orders'), 3, { from: 6 })
  const deps = depsOf(world)
  const before = await planFlow(deps, world.flow)
  expect(before.partitions).toMatchObject([{ kind: 'work' }])

  await failOver(deps, world.flow, planned)
  const handing = { ...world, newWorker: () => 'late-worker' }
  const late = await handOutWork(handing, world.flow, before)
  // A topic that is new since, and has no standby topic.
  world.source.createTopic('payments', 1)
  const after = await planFlow(deps, world.flow)

  expect(late).toEqual({ toInvoke: [], joined: 0 })
  expect(after.partitions).toMatchObject([{ topic: 'orders', kind: 'failed-over' }])
  expect(after.warnings).toEqual([expect.stringContaining('has failed over (all topics)')])
})

// In the first case its epoch is the newest when it wakes, and only the lease stops it; in the last
// one it has looked at the lease, and only the epoch of the other command does.
const moments = ['before its epoch', 'behind its epoch', 'before its marker'] as const
test.each(moments)(
  'a command that is frozen %s, and overtaken, writes no marker behind records of applications when it wakes',
  async moment => {
    const world = await copiedWorld()
    const frozen = Promise.withResolvers<void>()
    const woken = Promise.withResolvers<void>()
    const { initProducerId, writeAbortMarker } = world.target
    const freezeAt = async (reached: (typeof moments)[number]) => {
      if (reached !== moment) return
      frozen.resolve()
      await woken.promise
    }
    const target: World['target'] = {
      ...world.target,
      initProducerId: async id => {
        await freezeAt('before its epoch')
        const answer = await initProducerId(id)
        await freezeAt('behind its epoch')
        return answer
      },
      writeAbortMarker: async request => {
        await freezeAt('before its marker')
        return writeAbortMarker(request)
      },
    }
    const saysNothing = { ...world.failovers, renew: () => new Promise<never>(() => undefined) }
    const first = failOver(depsOf(world, { target, failovers: saysNothing }), world.flow, planned)
    const ended = first.then(
      () => 'done',
      error => `${error}`,
    )
    await frozen.promise

    const second = await failOver(depsOf(world), world.flow, planned)
    writeNumbered(world.targetLog('orders'), 1, { from: 70 })
    const before = world.targetLog('orders').batches.length
    woken.resolve()

    expect(second.kind).toBe('done')
    expect(await ended).toMatch(/was taken by another|leased|is failed-over/)
    expect(world.targetLog('orders').batches.length).toBe(before)
    const { state } = await world.failovers.read(world.flow.name)
    expect(state.kind).toBe('failed-over')
    expect((await world.checkpoint('orders'))?.state.kind).toBe('failed-over')
  },
)

test.each([
  { policy: 'compact', kind: 'done', problems: [] },
  { policy: 'delete', kind: 'aborted', problems: ['orders-0: 1 of the last 4 records differ'] },
])(
  'an older value that one cleaner has removed aborts no planned fail-over ($policy)',
  async ({ policy, kind, problems }) => {
    const world = createWorld()
    world.createTopic('orders')
    const keys = ['a', 'b', 'a', 'b', 'c']
    const log = world.sourceLog('orders')
    for (const [value, key] of keys.entries()) log.write(batchWith([{ key, value: `${value}` }]))
    await world.run('orders')
    log.compact(offset => offset !== 1n)
    const values = new Map([['cleanup.policy', policy]])
    const source: FailoverDeps['source'] = {
      ...world.source,
      readTopicConfigs: async topics =>
        new Map(topics.map(topic => [topic, { kind: 'read', values }])),
    }

    const result = await failOver(depsOf(world, { source }), world.flow, planned)

    expect([result.kind, result.problems]).toEqual([kind, problems])
  },
)
