// `gapless resume` that reads both logs while brokers answer without records: the command goes on
// exactly where the standby's records end, or says that it could not read.

import { expect, test } from 'vitest'
import { emptyAnswersMax } from '../../../../lib/core/config/defaults.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const at = { topic: 'orders', partition: 0 }

/** A halted partition: three of five records are on its standby, and its row was lost. */
async function haltedWorld(): Promise<World> {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 3)
  await world.run('orders')
  writeBatches(world.sourceLog('orders'), 2)
  Object.assign(world, createMemoryStores())
  await world.run('orders')
  return world
}

const resume = (world: World) =>
  resumePartition({ ...world, owner: 'operator' }, { flow: world.flow, at, from: null })

test.each(['source', 'target'] as const)(
  'resume goes on right behind the last record of the standby though the %s answers without records at first',
  async side => {
    const world = await haltedWorld()
    world[side].answerEmpty({ times: emptyAnswersMax })

    expect(await resume(world)).toMatchObject({ position: { nextSourceOffset: 3n } })

    await world.run('orders')
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
  },
)

test.each(['source', 'target'] as const)(
  'resume that cannot read the log of the %s says so, and the partition stays halted',
  async side => {
    const world = await haltedWorld()
    world[side].answerEmpty({ times: Number.POSITIVE_INFINITY })

    await expect(resume(world)).rejects.toThrow(
      /7 fetches of \S*orders-0 at offset 0 brought no records, although its log can be read up to \d/,
    )

    const row = await world.checkpoints.get({ flow: world.flow.name, ...at })
    expect(row?.state.kind).toBe('halted')
  },
)
