// A fail-over whose command is killed at every call of a cluster or of the table, before the call
// and behind it, and is run again: every record is on the standby once, and nothing of gapless is
// appended behind the last fence.

import { expect, test } from 'vitest'
import type { FailoverKind } from '../../../../lib/core/failover/flow-failover.ts'
import { isControlBatch } from '../../../../lib/kafka/record-batch.ts'
import { failBack } from '../../../../lib/run/failback/failback.ts'
import { failOver } from '../../../../lib/run/failover/failover.ts'
import type { FailoverDeps } from '../../../../lib/run/failover/plan-failover.ts'
import { type Death, mortal } from '../../../support/doubles/mortal.ts'
import { valuesIn, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

const parts = [
  ...(['source', 'target', 'checkpoints', 'workers'] as const),
  ...(['incidents', 'failovers', 'anchors'] as const),
]
const partitions = [0, 1]
let ids = 0

function command(world: World, death: Death | null) {
  ids += 1
  const by = `command-${ids}`
  const deps: FailoverDeps & Pick<World, 'anchors'> = {
    ...world,
    ...{ owner: by, by },
    openTargetAdmin: () => expect.unreachable(),
    newId: () => {
      ids += 1
      return `id-${ids}`
    },
    confirm: async () => true,
  }
  return mortal(deps, parts, death)
}

/** A flow with some records copied, and more that are not. */
async function halfCopied(): Promise<{ world: World; written: string[][] }> {
  const world = createWorld()
  world.createTopic('orders', partitions.length)
  for (const partition of partitions) writeNumbered(world.sourceLog('orders', partition), 6)
  await world.run('orders', { partitions })
  for (const partition of partitions)
    writeNumbered(world.sourceLog('orders', partition), 6, { from: 6 })
  const written = partitions.map(partition => valuesIn(world.sourceLog('orders', partition)))
  return { world, written }
}

async function dies(world: World, how: FailoverKind, death: Death): Promise<void> {
  const { deps, died } = command(world, death)
  const request = { how, topics: null }
  await expect(Promise.race([failOver(deps, world.flow, request), died])).rejects.toThrow('killed')
}

async function callsOf(how: FailoverKind): Promise<number> {
  const { world } = await halfCopied()
  const { deps, calls } = command(world, null)
  const result = await failOver(deps, world.flow, { how, topics: null })
  expect(result.kind).toBe('done')
  return calls()
}

async function expectFailedOver(world: World, written: string[][]): Promise<void> {
  const listed = await world.checkpoints.list(world.flow.name)
  expect(listed.failover.state.kind).toBe('failed-over')
  expect(listed.checkpoints.map(each => each.state.kind)).toEqual(['failed-over', 'failed-over'])
  for (const partition of partitions) {
    const log = world.targetLog('orders', partition)
    expect(valuesIn(log)).toEqual(written[partition])
    const last = log.batches.at(-1)
    expect(last !== undefined && isControlBatch(last)).toBe(true)
  }
}

test.each(['planned', 'unplanned'] as const)(
  '%s: killed at every call and run again, it loses and repeats nothing',
  async how => {
    const calls = await callsOf(how)
    expect(calls).toBeGreaterThan(30)
    for (let at = 1; at <= calls; at += 1) {
      for (const when of ['before', 'after'] as const) {
        const { world, written } = await halfCopied()
        await dies(world, how, { at, when })
        const { deps } = command(world, null)
        const result = await failOver(deps, world.flow, { how, topics: null })
        expect({ at, when, ...result }).toMatchObject({ kind: 'done', problems: [] })
        await expectFailedOver(world, written)
        // Nothing is copied any more, whoever runs.
        writeNumbered(world.sourceLog('orders'), 3, { from: 12 })
        const later = await world.run('orders', { partitions })
        expect(later.partitions.map(each => each.outcome)).toEqual(['failed-over', 'failed-over'])
        await expectFailedOver(world, written)
      }
    }
  },
  120_000,
)

/** A fail-back in this world, whose reverse flow makes its calls on the same clusters and table. */
function wayBack(world: World, death: Death | null) {
  const { deps, died, calls } = command(world, death)
  const back = { ...deps, source: deps.target, target: deps.source, owner: `${deps.owner}/back` }
  const both = { ...deps, openReverse: () => back, confirmBack: async () => true }
  const run = () => failBack(both, world.flow, { divergent: 'refuse' })
  return { run, died, calls }
}

/** Failed over, with records of applications on the standby. */
async function failedOver(): Promise<{ world: World; written: string[][] }> {
  const { world, written } = await halfCopied()
  await failOver(command(world, null).deps, world.flow, { how: 'planned', topics: null })
  const all = partitions.map(partition => [
    ...(written[partition] ?? []),
    ...writeNumbered(world.targetLog('orders', partition), 6, { from: 50 }),
  ])
  return { world, written: all }
}

test('a fail-back that is killed at every call and run again loses and repeats nothing, and the flow goes on', async () => {
  const { world: undisturbed } = await failedOver()
  const whole = wayBack(undisturbed, null)
  expect((await whole.run()).kind).toBe('done')
  expect(whole.calls()).toBeGreaterThan(60)
  for (let at = 1; at <= whole.calls(); at += 1) {
    for (const when of ['before', 'after'] as const) {
      const { world, written } = await failedOver()
      const { run, died } = wayBack(world, { at, when })
      await expect(Promise.race([run(), died])).rejects.toThrow('killed')

      const result = await wayBack(world, null).run()

      expect({ at, when, ...result }).toMatchObject({ kind: 'done', state: { kind: 'active' } })
      for (const partition of partitions) {
        expect(valuesIn(world.sourceLog('orders', partition))).toEqual(written[partition])
        writeNumbered(world.sourceLog('orders', partition), 3, { from: 90 })
      }
      const later = await world.run('orders', { partitions })
      expect(later.partitions.map(each => each.outcome)).toEqual(['drained', 'drained'])
      for (const partition of partitions) {
        const both = [world.sourceLog('orders', partition), world.targetLog('orders', partition)]
        const [there, here] = both.map(valuesIn)
        expect({ at, when, values: here }).toEqual({ at, when, values: there })
      }
      expect(await world.storedIncidents()).toEqual([])
    }
  }
}, 240_000)
