// From a record that is deleted too early to the notification of an operator: real brokers, the
// functions under serverless-offline, and LocalStack for the table, the alarms (deployed by
// CloudFormation from the same list, with periods of 10 s), the alert topic and a queue that
// subscribes to it. emf-forwarder.ts forwards the functions' log to CloudWatch as AWS does.

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OfflineFunctions } from '../../localstack/offline.ts'
import { until } from '../../localstack/processes/until.ts'
import { canStartLocalStack } from '../../localstack/scratch/brokers.ts'
import {
  connectTo,
  createTopic,
  deleteRecords,
  deleteTopic,
  produceBatches,
} from '../../localstack/scratch/topics.ts'
import { records } from '../support/kafka/records.ts'
import { type AlarmedStage, deployAlarms } from '../support/processes/alarmed-stage.ts'
import { createEmfForwarder, type ForwardedValue } from '../support/processes/emf-forwarder.ts'
import {
  openSharedLocalStack,
  openSharedOfflineWorld,
  type SharedOfflineWorld,
} from '../support/worlds/shared-fixture.ts'

/** An alarm is evaluated every 10 s, over the values of 30 s. */
const EVENTUALLY_MS_MAX = 120_000
const flow = 'alarmed'
const HOUR_S = 3600
const WEEK_S = 7 * 24 * HOUR_S

type Watched = {
  readonly world: SharedOfflineWorld
  readonly stage: AlarmedStage
  readonly functions: OfflineFunctions
  readonly forward: () => Promise<ForwardedValue[]>
}

let watched: Watched | null = null

beforeAll(async () => {
  if (!(await canStartLocalStack())) return
  const aws = await openSharedLocalStack()
  const [world, stage] = await Promise.all([
    openSharedOfflineWorld(aws),
    deployAlarms(aws, 'local'),
  ])
  // The schedule starts no tick, so that only the test's own invocations are forwarded.
  const params = { alertTopic: stage.topicArn, tickRate: 'rate(1 day)' }
  const functions = await world.startFunctions({ name: flow, params })
  const forward = createEmfForwarder(stage.cloudWatch, functions.logFile)
  watched = { world, stage, functions, forward }
})
afterAll(() => watched?.world.remove())

test('an alarm tells that retention comes near records that are not replicated, before any is lost', async context => {
  if (watched === null) return context.skip('no LocalStack: it needs Python 3.11')
  const { world, stage, functions, forward } = watched
  const topic = 'alarmed.near'
  const primary = connectTo(world.primary)
  // The records are one hour old, and retention keeps them for two.
  await createTopic(primary, topic, { configs: { 'retention.ms': String(2 * HOUR_S * 1000) } })
  await produceBatches(primary, { topic, partition: 0 }, [records(0, 50)])

  await functions.invoke('watch')
  const sent = await forward()

  expect(latest(sent, 'TruncationHeadroomSeconds')).toBeLessThan(HOUR_S)
  expect(latest(sent, 'TruncationHeadroomSeconds')).toBeGreaterThan(HOUR_S / 2)
  expect(sent.filter(each => each.dimensions.topic === topic).map(each => each.name)).toEqual([
    'LagRecords',
    'LagSeconds',
    'TruncationHeadroomSeconds',
  ])
  await untilTold(stage, 'ALARM: "gapless-local-headroom"', /lengthen retention\.ms/)
  expect(await functions.invoke('plan')).toMatchObject({ kind: 'succeeded' })
  await functions.invoke('watch')
  const after = await forward()
  expect(latest(after, 'TruncationHeadroomSeconds')).toBeGreaterThan(WEEK_S)
  expect(total([...sent, ...after], 'TruncationsDetected')).toBe(0)
})

test('a truncation is seen, measured, alarmed and told, with offsets and the command', async context => {
  if (watched === null) return context.skip('no LocalStack: it needs Python 3.11')
  const { world, stage, functions, forward } = watched
  const topic = 'alarmed.cut'
  const primary = connectTo(world.primary)
  await createTopic(primary, topic, {})
  await produceBatches(primary, { topic, partition: 0 }, [records(0, 50)])
  expect(await functions.invoke('plan')).toMatchObject({ kind: 'succeeded' })
  expect(await functions.invoke('watch')).toMatchObject({ kind: 'succeeded' })
  expect(latest(await forward(), 'LagRecords')).toBe(0)

  await produceBatches(primary, { topic, partition: 0 }, [records(50, 30)])
  await deleteRecords(primary, { topic, partition: 0, offset: 80 })
  await produceBatches(primary, { topic, partition: 0 }, [records(80, 10)])

  // No run replicates yet, and the watch function measures the lag all the same.
  await functions.invoke('watch')
  const before = await forward()
  expect(latest(before, 'UnnoticedDifferences')).toBe(1)
  expect(latest(before, 'LagRecords')).toBe(10)
  expect(latest(before, 'HaltedPartitions')).toBe(0)
  // They were written a moment ago, which the log ends in the checkpoint tell.
  expect(latest(before, 'LagSeconds')).toBeLessThan(HOUR_S)
  expect(latest(before, 'TruncationHeadroomSeconds')).toBeGreaterThan(WEEK_S)

  await functions.invoke('plan')
  await functions.invoke('watch')
  const after = await forward()
  expect(total(after, 'TruncationsDetected')).toBe(1)
  expect(total(after, 'RecordsLost')).toBe(30)
  expect(latest(after, 'HaltedPartitions')).toBe(1)
  expect(latest(after, 'OpenIncidents')).toBe(1)
  expect(latest(after, 'UnnoticedDifferences')).toBe(0)

  await untilTold(stage, 'ALARM: "gapless-local-truncation"', /gapless resume TOPIC:PARTITION/)
  await untilTold(
    stage,
    `gapless local ${flow}: log-truncated ${topic}-0 open`,
    /Expected offset 50, but got 80\. Gap of 30 .*\[50, 80\).*gapless resume alarmed\.cut:0 --flow alarmed/,
  )
  expect(await stage.stateOf('data-at-risk')).toBe('ALARM')
})

test('a topic that was recreated is alarmed and told', async context => {
  if (watched === null) return context.skip('no LocalStack: it needs Python 3.11')
  const { world, stage, functions, forward } = watched
  const topic = 'alarmed.fresh'
  const primary = connectTo(world.primary)
  await createTopic(primary, topic, {})
  await produceBatches(primary, { topic, partition: 0 }, [records(0, 20)])
  await functions.invoke('plan')
  await deleteTopic(primary, topic)
  await createTopic(primary, topic, {})
  await produceBatches(primary, { topic, partition: 0 }, [records(0, 5, 'again')])
  await forward()

  await functions.invoke('plan')
  await functions.invoke('watch')
  const sent = await forward()

  expect(total(sent, 'TopicResetsDetected')).toBe(1)
  expect(total(sent, 'RecordsReplicated')).toBe(5)
  expect(sent.filter(each => each.name === 'RecoveryTime')).not.toEqual([])
  await untilTold(stage, 'ALARM: "gapless-local-reset"', /deleted and recreated/)
  await untilTold(
    stage,
    `gapless local ${flow}: topic-reset ${topic}-0 continued`,
    /Topic reset detected for alarmed\.fresh-0\./,
  )
})

test('a function that stops raises an alarm of its own', async context => {
  if (watched === null) return context.skip('no LocalStack: it needs Python 3.11')
  const { stage, functions, forward } = watched
  const heartbeats = ['heartbeat-plan', 'heartbeat-watch']
  let told = 0
  await until(
    'both hearts beat',
    async () => {
      // Counted before the functions run: on a busy machine a period without a value passes between
      // two requests, and an alarm that came then would be counted as an earlier one.
      told = (await stage.heard()).length
      await Promise.all([functions.invoke('plan'), functions.invoke('watch')])
      await forward()
      const states = await Promise.all(heartbeats.map(id => stage.stateOf(id)))
      return states.every(state => state === 'OK')
    },
    EVENTUALLY_MS_MAX,
  )

  await functions.stop()

  for (const id of heartbeats) {
    const isAlarm = async () => (await stage.stateOf(id)) === 'ALARM'
    await until(`the alarm ${id} is ALARM`, isAlarm, EVENTUALLY_MS_MAX)
    await untilTold(stage, `ALARM: "gapless-local-${id}"`, /has not finished for 3 minutes/, told)
  }
})

/**
 * Waits for a notification with this subject and text, after the first `after` notifications.
 */
async function untilTold(
  stage: AlarmedStage,
  subject: string,
  text: RegExp,
  after = 0,
): Promise<void> {
  let heard: readonly { subject: string; text: string }[] = []
  const holds = async () => {
    heard = (await stage.heard()).slice(after)
    return heard.some(each => each.subject.startsWith(subject) && text.test(each.text))
  }
  await until(`somebody is told ${subject}, ${text}`, holds, EVENTUALLY_MS_MAX).catch(error => {
    throw new Error(`${error.message}; heard: ${JSON.stringify(heard)}`)
  })
}

/** The values of a metric for all flows together, which the alarms evaluate. */
function valuesOf(sent: readonly ForwardedValue[], name: string): number[] {
  return sent
    .filter(each => each.name === name && Object.keys(each.dimensions).length === 2)
    .flatMap(each => each.values)
}

function total(sent: readonly ForwardedValue[], name: string): number {
  return valuesOf(sent, name).reduce((sum, value) => sum + value, 0)
}

function latest(sent: readonly ForwardedValue[], name: string): number | undefined {
  return valuesOf(sent, name).at(-1)
}
