// Runs one scenario: starts workers and operators in processes that die and freeze, lets events
// happen beside them, and at the end, without faults, waits until everything is copied.

import type { FlowConfig } from '../../lib/core/config/config.ts'
import { fillPlacesMax, workerStartMsMax } from '../../lib/core/config/defaults.ts'
import type { Incident } from '../../lib/core/incident.ts'
import type { HandOver, Predecessor } from '../../lib/core/replicate/hand-over.ts'
import { ReplicatorError } from '../../lib/io/failure/replicator-error.ts'
import { type ResumeFrom, resumePartition } from '../../lib/run/operate/resume.ts'
import { replicateAndReport } from '../../lib/run/replicate/replicate.ts'
import { claimOf } from '../support/worlds/claim.ts'
import type { Scenario, WorldEvent } from './scenario.ts'
import { checkReport, checkVerdict } from './verdict.ts'
import { createViolation, type Violation } from './violation.ts'
import { type Election, type Model, trackOf } from './world/model.ts'
import type { SimulatedProcess, Strike } from './world/simulated-process.ts'
import { createSimulatedWorld, type SimulatedWorld, TOPIC } from './world/simulated-world.ts'

export type Figures = {
  runs: number
  turns: number
  steps: number
  crossings: number
  kills: number
  freezes: number
  lostAnswers: number
  records: number
  incidents: Record<string, number>
}

export type Told = {
  readonly violation: Violation | null
  readonly figures: Figures
  /** A hash of every event and its time: the same for the same seed. */
  readonly hash: string
  readonly trace: readonly string[]
}

/** One strike at the nth crossing of all processes together, in place of the drawn ones. */
export type Injected = { readonly nth: number; readonly strike: Strike }

const ROUNDS_MAX = 16

export async function tell(
  scenario: Scenario,
  options: { readonly keepsTrace?: boolean; readonly injected?: Injected | null } = {},
): Promise<Told> {
  const world = createSimulatedWorld(scenario, options)
  let violation: Violation | null = null
  try {
    await world.clock.drive(async () => {
      await live(world)
      await settle(world)
    })
    checkVerdict(world)
  } catch (error) {
    violation =
      error instanceof Error && error.name === 'Violation'
        ? (error as Violation)
        : createViolation(
            'bug',
            error instanceof Error ? (error.stack ?? error.message) : `${error}`,
          )
  }
  return { violation, figures: world.figures(), hash: world.hash(), trace: world.trace }
}

/**
 * Lets the events of the scenario happen. A tick starts a worker at intervals, whether the last one
 * lives or not.
 */
async function live(world: SimulatedWorld): Promise<void> {
  const { clock, scenario } = world
  const startedAtMs = clock.nowMs()
  const elapse = async (atMs: number) => {
    const leftMs = startedAtMs + atMs - clock.nowMs()
    if (leftMs > 0) await clock.wait(leftMs)
  }
  world.history.create()
  const ticks = async () => {
    for (let atMs = 0; atMs < scenario.durationMs; atMs += scenario.tickMs) {
      await elapse(atMs)
      if (world.livingWorkers() < scenario.workersMax) startWorker(world)
    }
  }
  const events = async () => {
    for (const event of scenario.events) {
      await elapse(event.atMs)
      happen(world, event)
    }
  }
  const workerEvents = async () => {
    for (const { atMs, kind, drawn } of scenario.workerEvents) {
      await elapse(atMs)
      await world.happenToWorkers(kind, drawn)
    }
  }
  await Promise.all([ticks(), events(), workerEvents()])
}

function happen(world: SimulatedWorld, { kind, partition }: WorldEvent): void {
  const { history, chance, source, target } = world
  switch (kind) {
    case 'write':
      return history.write(partition)
    case 'dated':
      return history.write(partition, { dated: true })
    case 'transact':
      return history.transact(partition)
    case 'commit':
      return history.endTransaction(partition)
    case 'emptied':
      return history.writeEmptied(partition)
    case 'compact':
      return history.compact(partition)
    case 'retain':
      return history.retain(partition)
    case 'elect':
      return history.electUncleanly(partition)
    case 'delete':
      return history.delete()
    case 'create':
      return history.create()
    case 'foreign':
      return world.writeForeign(partition)
    case 'foreign-transaction':
      return world.transactForeign(partition)
    case 'hole':
      return history.leaveHole(partition, chance.integer(1, 12))
    case 'large-hole':
      // A few foreign records must leave it too large: filling all of it takes more turns than a
      // story has.
      return history.leaveHole(partition, fillPlacesMax + chance.integer(1_000, 2_000))
    case 'week':
      return world.passWeek()
    case 'operator':
      startOperator(world, partition)
      return
    case 'move-source': {
      if (history.topicId() === null) return
      const leader = chance.integer(1, world.scenario.sourceBrokers)
      world.say(`source ${partition}: led by ${leader}`)
      return source.moveLeader(TOPIC, partition, leader)
    }
    case 'move-target': {
      const leader = chance.integer(1, world.scenario.targetBrokers)
      world.say(`standby ${partition}: led by ${leader}`)
      return target.moveLeader(`primary.${TOPIC}`, partition, leader)
    }
  }
}

type Work = {
  readonly partitions?: readonly { readonly partition: number; readonly topicIsKnown: boolean }[]
  readonly predecessor?: Predecessor
  /** The row that a predecessor reserved; left out: none did. */
  readonly worker?: string | undefined
  readonly flow?: FlowConfig
}

/** One invocation of the replicating function. */
function startWorker(world: SimulatedWorld, work: Work = {}): SimulatedProcess {
  const { scenario, chance, clock } = world
  const { flow } = scenario
  const process = world.startProcess('worker')
  const isContinuous = flow.mode === 'continuous' && !world.isCalm()
  const lifetimeMs = world.isCalm() ? 60_000 : chance.integer(300, scenario.lifetimeMsMax)
  const all = Array.from({ length: scenario.partitions }, (_, partition) => {
    return { partition, topicIsKnown: false }
  })
  const invoke = async ({ partitions, predecessor, worker }: HandOver) => {
    await process.cross('before invoking a successor')
    // An asynchronous invocation may be lost, and may be delivered twice.
    const copies = world.isCalm() ? 0 : chance.pick([1, 1, 1, 1, 1, 1, 2, 0])
    for (let copy = 0; copy < copies; copy += 1) {
      clock.wait(chance.integer(0, 1_000)).then(() => {
        if (!world.isCalm()) startWorker(world, { partitions, predecessor, worker })
      })
    }
    await process.cross('after invoking a successor')
  }
  // As `plan` does, which a peer invokes: the partitions of the worker that ended are handed out.
  const tellPlan = async ({ worker }: { readonly worker: string }) => {
    world.say(`${process.name} tells plan that ${worker} ended`)
    if (!world.isCalm() && world.livingWorkers() < scenario.workersMax) startWorker(world)
  }
  world.run(process, async deps => {
    const { partitions = all, predecessor, worker } = work
    const owner = worker ?? deps.owner
    const isReserved = worker !== undefined
    const claim = claimOf(process.name, { isReserved })
    const report = await replicateAndReport(
      { ...deps, owner },
      {
        flow,
        partitions: partitions.map(each => ({ ...each, topic: TOPIC })),
        deadlineMs: process.clock.nowMs() + lifetimeMs,
        isContinuous,
        predecessor,
        claim,
        ...(isContinuous ? { tellPlan } : {}),
        ...(isContinuous ? { successor: { worker: `successor of ${process.name}`, invoke } } : {}),
      },
    )
    world.say(`${process.name} ends: ${report.partitions.map(each => each.outcome).join(', ')}`)
    world.check(() => checkReport(report))
    world.noteReport(process, report)
  })
  return process
}

/** One `gapless resume`. */
function startOperator(world: SimulatedWorld, partition: number): SimulatedProcess {
  const { flow } = world.scenario
  const process = world.startProcess('operator')
  world.run(process, async deps => {
    try {
      const at = { topic: TOPIC, partition }
      const from = whereToGoOn(world.model, partition, await world.haltedBy(partition))
      // Also where the answer to its write is lost.
      trackOf(world.model, { partition }).resumes += 1
      const { position } = await resumePartition(deps, { flow, at, from })
      world.say(`${process.name} resumes ${partition} at ${position.nextSourceOffset}`)
    } catch (error) {
      // The resume was refused: no partition is halted, another process has the lease, or a request
      // failed.
      if (!(error instanceof ReplicatorError) && !world.isTrouble(error)) throw error
      world.say(`${process.name} gets nowhere: ${error instanceof Error ? error.message : error}`)
    }
  })
  return process
}

/**
 * The `--from` that an operator must give where neither the incident nor a comparison says where to
 * go on.
 */
function whereToGoOn(model: Model, partition: number, last: Incident | null): ResumeFrom {
  const track = trackOf(model, { partition })
  // A foreign writer wrote before the first record of gapless: no record of gapless is there.
  if (last?.kind === 'target-not-empty') return track.copiedCount === 0 ? 'log-start' : null
  if (last?.kind !== 'log-diverged' || last.foundOffset !== null) return null
  const parted = track.elections.filter(
    each => each.isPending && each.topicId === last.evidence.topicId,
  )
  const start = track.logStarts.get(last.evidence.topicId ?? '')?.at(-1) ?? 0n
  // Retention may have removed records beyond this offset since.
  if (parted.length === 0 || parted.some(each => each.end <= start)) return 'log-start'
  const ends = parted.map(each => each.end)
  return ends.reduce<bigint | null>((min, end) => (min === null || end < min ? end : min), null)
}

/** When every worker has died and its lease has passed, the next one has all partitions. */
function checkHandedOut(outcomes: readonly string[]): void {
  if (!outcomes.includes('lease-held')) return
  throw createViolation('liveness', `nobody lives, and a partition is held: ${outcomes.join(', ')}`)
}

/** Without faults everything is copied within a bounded number of runs. */
async function settle(world: SimulatedWorld): Promise<void> {
  const { clock, scenario, history } = world
  world.calm()
  history.create()
  for (let partition = 0; partition < scenario.partitions; partition += 1) {
    history.endTransaction(partition)
    history.write(partition)
  }
  let outcomes: readonly string[] = []
  let wasAlone = false
  // A table that was restored has the row of a worker as it was when it was only reserved.
  const isRestored = scenario.workerEvents.some(({ kind }) => kind === 'restore')
  const reservedMs = isRestored ? workerStartMsMax : 0
  let unnoticed: readonly number[] = []
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    for (const partition of await world.halted()) await world.ended(startOperator(world, partition))
    const worker = startWorker(world)
    await world.ended(worker)
    outcomes = world.outcomesOf(worker)
    if (wasAlone) checkHandedOut(outcomes)
    // A log that was cut and has grown again to exactly the position looks drained: the divergence
    // is detected with the next record (docs/SPEC.md, Gaps).
    const isPending = ({ topicId, isPending }: Election) =>
      isPending && topicId === history.topicId()
    const inShadow = world.model.tracks.filter(each => each.elections.some(isPending))
    unnoticed = inShadow.map(each => each.partition)
    for (const partition of unnoticed) history.write(partition)
    const isDone = unnoticed.length === 0 && outcomes.every(outcome => outcome === 'drained')
    if (isDone && world.living().length === 0) return
    wasAlone = world.living().length === 0
    // A clock that is ahead dates a lease that ends later, by a clock that is behind.
    await clock.wait(scenario.flow.budgets.leaseMs + 2 * scenario.skewMsMax + reservedMs + 1)
  }
  const living = world.living().map(each => each.name)
  throw createViolation(
    'liveness',
    `after ${ROUNDS_MAX} runs: ${outcomes.join(', ')}; alive: ${living.join(', ') || 'none'}; ` +
      `unclean elections unnoticed in partitions: ${unnoticed.join(', ') || 'none'}`,
  )
}
