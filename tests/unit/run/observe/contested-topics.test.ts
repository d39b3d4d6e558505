// What only the topics tell: topics that a pattern leaves out as copies, and topics that the
// patterns of two flows meet in.

import { expect, test } from 'vitest'
import { parseConfig } from '../../../../lib/core/config/config.ts'
import type { Checkpoint } from '../../../../lib/core/row/checkpoint.ts'
import { readContested } from '../../../../lib/run/observe/contested-topics.ts'
import { readFlowStatus } from '../../../../lib/run/operate/status.ts'
import { planFlow } from '../../../../lib/run/plan/plan.ts'
import { createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

type Rows = Readonly<Record<string, readonly string[]>>

/** Two flows into `c`; `rows`: the topics of which each flow has a checkpoint. */
async function contestedIn(
  one: Record<string, unknown>,
  two: Record<string, unknown>,
  topics: readonly string[],
  rows: Rows = {},
) {
  const clusters = Object.fromEntries(['a', 'b', 'c'].map(each => [each, { brokers: `${each}:1` }]))
  const flows = [
    { name: 'one', to: 'c', ...one },
    { name: 'two', to: 'c', ...two },
  ]
  const parsed = parseConfig({ clusters, flows })
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const list = async (flow: string) => ({
    checkpoints: (rows[flow] ?? []).map(
      topic => ({ topic, partition: 0, state: { kind: 'replicating' } }) as unknown as Checkpoint,
    ),
    corrupt: [],
    unnamed: [],
  })
  const asked: string[] = []
  const answers = parsed.config.flows.map(async flow => {
    const contested = await readContested(
      {
        list: name => {
          asked.push(name)
          return list(name) as never
        },
      },
      flow,
      topics,
      (await list(flow.name)) as never,
    )
    return topics.filter(each => contested.of(each) !== null)
  })
  return { contested: await Promise.all(answers), asked }
}

const identity = { naming: 'identity' }

test('two patterns of one source that meet in a topic leave it to neither flow while nobody copied it', async () => {
  const flows = [
    { from: 'a', topics: ['/.*x/'] },
    { from: 'a', topics: ['/y.*/'] },
  ] as const
  const topics = ['yx', 'ax', 'yb']
  expect((await contestedIn(flows[0], flows[1], topics)).contested).toEqual([['yx'], ['yx']])
})

test('a topic is left to the flow that has a checkpoint of it, and to neither where both have', async () => {
  const flows = [
    { from: 'a', topics: ['/.*x/'] },
    { from: 'a', topics: ['/y.*/'] },
  ] as const
  const told = async (rows: Rows) => (await contestedIn(flows[0], flows[1], ['yx'], rows)).contested
  expect(await told({ one: ['yx'] })).toEqual([[], ['yx']])
  expect(await told({ two: ['yx'] })).toEqual([['yx'], []])
  expect(await told({ one: ['yx'], two: ['yx'] })).toEqual([['yx'], ['yx']])
})

test('flows of two sources meet only in a topic that the other one has copied', async () => {
  const flows = [
    { from: 'a', topics: ['/.*/'], ...identity },
    { from: 'b', topics: ['/.*/'], ...identity },
  ] as const
  const told = async (rows: Rows) => (await contestedIn(flows[0], flows[1], ['o'], rows)).contested
  expect(await told({})).toEqual([[], []])
  expect(await told({ two: ['o'] })).toEqual([['o'], []])
  expect(await told({ two: ['other'] })).toEqual([[], []])
})

test('the names on the target are compared, not those on the source', async () => {
  const flows = [
    { from: 'a', topics: ['/o.*/'] },
    { from: 'b', topics: ['/a\\.o.*/', '/o.*/'], ...identity },
  ] as const
  const rows = { one: ['ox'], two: ['a.ox', 'oy'] }
  const { contested } = await contestedIn(flows[0], flows[1], ['ox', 'oy', 'a.ox', 'a.oy'], rows)
  expect(contested).toEqual([['ox'], ['a.ox']])
})

test('the checkpoints of another flow are read only where a topic is shared', async () => {
  const flows = [
    { from: 'a', topics: ['/.*x/'] },
    { from: 'a', topics: ['/y.*/'] },
  ] as const
  expect((await contestedIn(flows[0], flows[1], ['ax', 'yb'])).asked).toEqual([])
})

/** A world whose flow has a rival of the same source that meets it in `orders`. */
async function contestedWorld() {
  const world = createWorld({ flow: { topics: ['/.*/'], exclude: ['other'] } })
  for (const topic of ['orders', 'users']) {
    world.createTopic(topic)
    writeBatches(world.sourceLog(topic), 1)
  }
  const rival = {
    ...world.flow,
    name: 'rival',
    exclude: [{ kind: 'name', name: 'users' }],
  } as const
  const flow = { ...world.flow, rivals: [rival] }
  const lines: string[] = []
  const log = ({ text }: { readonly text: string }) => lines.push(text)
  const deps = { ...world, log, openTargetAdmin: () => expect.unreachable() }
  return { world, flow, deps, lines }
}

const refusal =
  'flow rival writes it as well, so flow flow does not copy orders into it; exclude the topic from one of the two flows'

test('a tick copies no topic that another flow writes, says so, and copies all others', async () => {
  const { world, flow, deps, lines } = await contestedWorld()
  const plan = await planFlow(deps, flow)
  expect(plan.partitions).toMatchObject([
    { topic: 'orders', kind: 'unobserved', detail: refusal },
    { topic: 'users', kind: 'work' },
  ])
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'topic-refused', resolution: 'open', topic: 'primary.orders', partition: null },
  ])
  expect(lines).toEqual([
    `Topic refused: cluster standby cannot have topic primary.orders, flow flow: ${refusal}. Nothing of it is copied until then.`,
  ])

  await planFlow(deps, world.flow)

  expect(await world.storedIncidents()).toMatchObject([{ resolution: 'recovered' }])
})

test('status says which topic another flow writes', async () => {
  const { flow, deps } = await contestedWorld()
  const { unobserved } = await readFlowStatus(deps, flow)
  expect(unobserved).toEqual([`standby, topic primary.orders: ${refusal}`])
})

test('status lists the topics that are left out as copies, and a tick warns of them', async () => {
  const world = createWorld({ flow: { topics: ['/.*/', 'standby.named'] } })
  for (const topic of ['orders', 'standby.named']) world.createTopic(topic)
  const copies = ['a', 'b', 'c', 'd', 'e', 'f'].map(each => `standby.${each}`)
  for (const topic of ['primary.own', ...copies]) world.source.createTopic(topic)
  const { leftOut, warnings, partitions, unobserved } = await readFlowStatus(world, world.flow)
  expect(partitions.map(each => each.topic)).toEqual(['orders', 'standby.named'])
  expect(leftOut).toEqual(['primary.own', ...copies])
  expect(unobserved).toEqual([])
  const line =
    "left out 7 topics that a pattern matches, because a cluster's prefix in their names marks them as copies: " +
    'primary.own, standby.a, standby.b, standby.c, standby.d, and 2 more; to copy one, name it in topics'
  expect(warnings).toEqual([line])
  const deps = { ...world, log: () => undefined, openTargetAdmin: () => expect.unreachable() }
  expect((await planFlow(deps, world.flow)).warnings).toEqual([line])
})
