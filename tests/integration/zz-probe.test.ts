import { afterAll, expect, test } from 'vitest'
import { removeStarted } from '../support/brokers.ts'
import { startFlowFixture } from '../support/flow-fixture.ts'
import { records } from '../support/records.ts'
afterAll(removeStarted)
test('probe', async () => {
  const world = await startFlowFixture()
  await world.createTopic('a')
  await world.produce('a', records(0, 100))
  try {
    await world.deleteRecords('a', 50)
  } catch (error) {
    console.log(error, JSON.stringify(error, null, 1), (error as { cause?: unknown }).cause)
  }
  console.log(await world.primary.fetchTopicOffsets('a'))
  await world.disconnect()
})
