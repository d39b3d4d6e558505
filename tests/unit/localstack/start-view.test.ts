// The output of `npm start`: a picture on a terminal, lines elsewhere.

import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { PartitionStatus } from '../../../lib/run/operate/status.ts'
import {
  createStartView,
  renderSnapshot,
  type Snapshot,
} from '../../../localstack/view/start-view.ts'

const partition: PartitionStatus = {
  topic: 'commit-log',
  partition: 0,
  targetTopic: 'primary.commit-log',
  state: 'replicating',
  nextSourceOffset: 600n,
  nextTargetOffset: 600n,
  sourceLogStartOffset: 0n,
  sourceLogEndOffset: 1_000n,
  lagRecords: 400n,
  topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
  openIncidents: 0,
  updatedAtMs: 1_700_000_000_000,
  latencyMs: 1_240,
  lagMs: 1_240,
  headroomMs: 'unlimited',
  offsets: null,
}

const snapshot: Snapshot = {
  partitions: [partition],
  unobserved: [],
  standbyTopic: 'primary.commit-log',
  arrived: 600n,
  produced: 1_000,
  nextTickInMs: 41_200,
}

test('the picture shows topic, standby topic, position, log end, lag, latency, next tick and incidents', () => {
  expect(renderSnapshot(snapshot).split('\n')).toEqual([
    '',
    'Next scheduled tick in 42 s; open incidents: 0; primary.commit-log: 600 of 1,000 new events',
    'TOPIC         STANDBY TOPIC       STATE        POSITION  SOURCE LOG END  LAG  LATENCY  INCIDENTS',
    'commit-log:0  primary.commit-log  replicating       600           1,000  400    1.2 s          0',
  ])
})

test('an unknown figure is shown as a dash or as unknown, never as a number', () => {
  const unknown: Snapshot = {
    ...snapshot,
    partitions: [
      {
        ...partition,
        state: 'unobserved',
        lagRecords: null,
        sourceLogEndOffset: null,
        latencyMs: null,
      },
    ],
    unobserved: ['primary: connection refused'],
    arrived: null,
  }
  const picture = renderSnapshot(unknown)
  expect(picture).toContain('primary.commit-log: new events unknown')
  expect(picture).toMatch(/unobserved +600 +- +- +- +0$/m)
  expect(picture).toContain('not observed: primary: connection refused')
})

test('without a terminal a line is written for each change, but not for the countdown', () => {
  const { view, written } = createLineView()
  view.show(snapshot)
  view.show({ ...snapshot, nextTickInMs: 40_200 })
  view.show({ ...snapshot, arrived: 1_200n })
  expect(written()).toEqual([
    'commit-log:0 -> primary.commit-log: replicating, position 600, source log end 1,000, ' +
      'lag 400, latency 1.2 s, open incidents 0',
    'primary.commit-log: 600 of 1,000 new events',
    // More events than this run produced.
    'primary.commit-log: 1,200 new events',
  ])
})

test('an ended view shows no more snapshots, but still prints lines', () => {
  const { view, written } = createLineView()
  view.end()
  view.show(snapshot)
  view.say('Stopping')
  expect(written()).toEqual(['Stopping'])
})

function createLineView() {
  const stream = new PassThrough()
  const view = createStartView(stream)
  const written = () =>
    String(stream.read() ?? '')
      .trimEnd()
      .split('\n')
  return { view, written }
}
