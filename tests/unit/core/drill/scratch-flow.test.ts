import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { parseConfig } from '../../../../lib/core/config/config.ts'
import {
  copiedByText,
  drillPrefix,
  scratchFlow,
  scratchTopic,
} from '../../../../lib/core/drill/scratch-flow.ts'

const drill = `${drillPrefix}20260301T120000-abcdef`

/** What the drill of the first flow of a configuration would meet. */
function copied(...flows: readonly object[]): string | null {
  const parsed = parseConfig({
    clusters: {
      primary: { brokers: 'a:9092' },
      standby: { brokers: 'b:9092' },
      // Another name of the same cluster.
      alias: { brokers: 'b:9092' },
    },
    flows: flows.map((flow, index) => ({ name: `flow-${index}`, ...flow })),
  })
  if (parsed.kind === 'invalid') throw new Error(inspect(parsed.problems))
  const [flow] = parsed.config.flows
  if (flow === undefined) throw new Error('a configuration without a flow')
  return copiedByText(parsed.config, scratchFlow(flow, drill))
}

const there = { from: 'primary', to: 'standby' }
const everything = { topics: ['/.*/'] }

test('no pattern of a flow matches the scratch topic on the source, whatever the naming', () => {
  expect(copied({ ...there, ...everything })).toBeNull()
  expect(copied({ ...there, ...everything, naming: 'identity' })).toBeNull()
})

test('a flow back with prefixes leaves the scratch topic out as a copy', () => {
  const back = { from: 'standby', to: 'primary', ...everything }
  expect(copied({ ...there, ...everything }, back)).toBeNull()
})

test('a flow that would copy the scratch topic on from the standby is named, also under another name of the cluster', () => {
  for (const from of ['standby', 'alias']) {
    const onwards = { from, to: 'primary', topics: ['/primary\\..*/'], naming: 'identity' }
    expect(copied({ ...there, topics: ['orders'] }, onwards)).toBe(
      `flow flow-1 would copy the scratch topic primary.${scratchTopic(drill)} of the drill from ${from === 'alias' ? 'standby' : from}: ` +
        'add "/.*gapless-drill-.*/" to its key exclude',
    )
    const excluding = { ...onwards, exclude: ['/.*gapless-drill-.*/'] }
    expect(copied({ ...there, topics: ['orders'] }, excluding)).toBeNull()
  }
})

test('the flow of a drill keeps clusters, naming and budgets, and shares no name with its flow', () => {
  const parsed = parseConfig({
    clusters: { primary: { brokers: 'a:9092' }, standby: { brokers: 'b:9092' } },
    flows: [
      {
        ...{ name: 'f', ...there, ...everything, naming: 'identity', startFrom: 'log-end' },
        ...{ exclude: ['/.*gapless-drill.*/'], excludeGroups: ['/.*/'], mode: 'continuous' },
        onReset: 'recreate',
        ...{
          sync: { heartbeats: 'mirror-maker', acls: 'copy' },
          budgets: { checkpointIntervalMs: 1_234 },
        },
      },
    ],
  })
  if (parsed.kind === 'invalid') throw new Error(inspect(parsed.problems))
  const [flow] = parsed.config.flows
  if (flow === undefined) throw new Error('a configuration without a flow')

  expect(scratchFlow(flow, drill)).toMatchObject({
    ...{ name: drill, ...there, naming: 'identity', budgets: { checkpointIntervalMs: 1_234 } },
    ...{ topics: [{ name: `__${drill}` }], exclude: [] },
    ...{ groups: [{ name: drill }], excludeGroups: [], startFrom: 'log-start', mode: 'batch' },
    ...{ heartbeats: false, sync: { heartbeats: 'off', acls: 'off', configs: 'off' } },
    onReset: 'halt',
  })
})
