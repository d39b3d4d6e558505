import { expect, test } from 'vitest'
import { listTopics } from '../../../cli/topic-listing.ts'
import { createWorld } from '../../support/worlds/replicate-world.ts'

test('an offset that a broker leaves out of its answer is null with a problem that names it, and never unsaid', async () => {
  const { source, createTopic } = createWorld()
  createTopic('orders', 2)
  source.control('listOffsets', async (serve, leaderId, point, partitions) => {
    const listed = await serve(leaderId, point, partitions)
    return listed.filter(each => point !== 'log-end' || each.partition !== 1)
  })

  const { topics, problems } = await listTopics(source, { names: null, internal: false })

  expect(topics[0]?.partitions.map(each => each.logEndOffset)).toEqual(['0', null])
  expect(problems).toEqual(['partition orders:1: left out of ListOffsets'])
})
