import { expect, test } from 'vitest'
import { runFlowOnce } from '../../../../lib/run/operate/run-once.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

test('every run within one command is an owner of its own, so none takes the lease of an earlier one for its own', async () => {
  const world = createWorld({ flow: { budgets: { shardPartitionsMax: 1 } } })
  world.createTopic('orders', 2)
  for (const partition of [0, 1]) writeBatches(world.sourceLog('orders', partition), 1)
  const deps = {
    ...world,
    log: () => undefined,
    owner: 'command',
    openTargetAdmin: () => expect.unreachable(),
  }
  await runFlowOnce(deps, world.flow, new AbortController().signal)
  const owners = [0, 1].map(partition => world.checkpoint('orders', partition))
  const names = (await Promise.all(owners)).map(each => each?.lease.owner)
  expect(names.toSorted()).toEqual(['command/1', 'command/2'])
})

/** `gapless run --once` in this world, and what it said. */
async function runOnce(world: World): Promise<{ texts: string[]; outcomes: string[] }> {
  const deps = { ...world, owner: 'command', openTargetAdmin: () => expect.unreachable() }
  const report = await runFlowOnce(deps, world.flow, new AbortController().signal)
  const texts = world.lines.map(each => each.text)
  return { texts, outcomes: report.partitions.map(each => each.outcome) }
}

/** A partition that a worker holds which renews until `diesMs`, and never releases it. */
async function heldByWorker(world: World, diesMs: number): Promise<void> {
  const { flow, clock } = world
  const isAlive = () => clock.nowMs() < startedMs + diesMs
  const startedMs = clock.nowMs()
  const dead = () => Promise.reject(new Error('the process is dead'))
  const workers: World['workers'] = {
    ...world.workers,
    renew: input => (isAlive() ? world.workers.renew(input) : dead()),
    end: dead,
  }
  const checkpoints: World['checkpoints'] = {
    ...world.checkpoints,
    save: input => (isAlive() ? world.checkpoints.save(input) : dead()),
    leave: dead,
  }
  const deps = { workers, checkpoints, log: () => undefined }
  void world.run('orders', { isContinuous: true, deps, deadlineMs: startedMs + 600_000 })
  await clock.wait(flow.budgets.workerLeaseMs)
}

test('run --once waits while another worker renews its lease, goes on within seconds of its death, and says why', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const written = writeBatches(world.sourceLog('orders'), 2)
  const diesMs = 40_000
  const startedMs = world.clock.nowMs()
  await heldByWorker(world, diesMs)

  const { texts, outcomes } = await runOnce(world)

  expect(outcomes).toEqual(['drained'])
  expect(payloads(world.targetLog('orders'))).toEqual(written)
  expect(texts).toContainEqual('orders-0 can be taken: worker run-1 stopped renewing its lease.')
  const afterMs = world.clock.nowMs() - startedMs - diesMs
  expect(afterMs).toBeLessThanOrEqual(world.flow.budgets.workerLeaseMs + 2_000)
})

test('run --once goes on as soon as another worker was declared ended, and says so', async () => {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 2)
  await heldByWorker(world, 600_000)
  const declared = world.clock.wait(3_500).then(() => {
    const nowMs = world.clock.nowMs()
    const worker = { flow: world.flow.name, worker: 'run-1', nowMs }
    return world.workers.declareEnded({ ...worker, when: 'in-any-case' })
  })

  const { texts, outcomes } = await runOnce(world)

  expect(await declared).toEqual({ kind: 'ended-now' })
  expect(outcomes).toEqual(['drained'])
  const why = /^orders-0 can be taken: (worker run-1 was declared ended|run-1 released it)\.$/
  expect(texts).toContainEqual(expect.stringMatching(why))
})
