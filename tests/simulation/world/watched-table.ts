// Owns the table as one process of a simulation reaches it: each call may be lost before it is
// applied, or its answer is lost, and every applied write is checked against the invariants at
// once.

import type { UpdateItemCommand } from '@aws-sdk/client-dynamodb'
import { writeSameOffsets } from '../../../lib/core/offsets/same-offsets.ts'
import { lastEpochOf } from '../../../lib/core/partition/epoch-history.ts'
import { type Checkpoint, readCheckpoint } from '../../../lib/core/row/checkpoint.ts'
import { isUnderWorker, leaseWasFree, wasTakenFromWorker } from '../../../lib/core/row/lease.ts'
import type { Row, StoredRow } from '../../../lib/core/row/row.ts'
import { type WorkerKey, workerPrefix } from '../../../lib/core/row/worker-row.ts'
import type { AnchorStore } from '../../../lib/io/anchors/anchor-store.ts'
import type { Clock } from '../../../lib/io/clock.ts'
import { createCheckpointStore } from '../../../lib/io/table/checkpoint-store.ts'
import type { CheckpointStore, IncidentStore, WorkerStore } from '../../../lib/io/table/stores.ts'
import type { FakeLog } from '../../support/doubles/fake-log.ts'
import { createMemoryDynamoDb } from '../../support/table/memory-dynamodb.ts'
import type { Rows } from '../../support/table/memory-rows.ts'
import { checkAnchors } from '../anchor-invariants.ts'
import { checkSave } from '../invariants.ts'
import { checkIncident } from '../true-incidents.ts'
import type { WorkerWatch } from '../worker-invariants.ts'
import { type Model, trackOf } from './model.ts'
import type { NetworkEvents } from './network.ts'
import type { SimulatedProcess } from './simulated-process.ts'

export type Stores = {
  readonly checkpoints: CheckpointStore
  readonly workers: WorkerStore
  readonly incidents: IncidentStore
  readonly anchors: Pick<AnchorStore, 'append'>
}

export type TableWatch = {
  readonly model: Model
  readonly standbyLog: (partition: number) => FakeLog | null
  /** The row as it was before a write. */
  readonly rows: Map<number, Checkpoint>
  /**
   * Kept until the end: an invariant that is broken in a process must not be taken for a failure of
   * that process.
   */
  readonly check: (what: () => void) => void
  readonly workers: WorkerWatch
}

export const TABLE_TROUBLE = 'the table did not answer'

export function reachTable(
  stores: Stores,
  input: {
    readonly process: SimulatedProcess
    readonly clock: Clock
    readonly events: NetworkEvents
    readonly watch: TableWatch
    readonly rows: Rows
  },
): Stores {
  const { process, clock, events, watch, rows } = input
  const ask = async <T>(what: string, serve: () => Promise<T>): Promise<T> => {
    const fails = await process.cross(`before the table's ${what}`)
    const { troubleOneIn, latencyMsMax } = events.weather()
    const isInTrouble = troubleOneIn > 0 && events.chance.oneIn(troubleOneIn)
    const isApplied = !isInTrouble || events.chance.oneIn(2)
    await clock.wait(events.chance.integer(0, Math.min(20, latencyMsMax)))
    if (fails || !isApplied || events.isTableOut()) throw new Error(TABLE_TROUBLE)
    const answer = await serve()
    events.served(process, 'table', what)
    await clock.wait(events.chance.integer(0, Math.min(20, latencyMsMax)))
    if ((await process.cross(`after the table's ${what}`)) || isInTrouble) {
      events.lostAnswer()
      throw new Error(TABLE_TROUBLE)
    }
    return answer
  }
  const noteTaken = (row: StoredRow, before: StoredRow | undefined) => {
    const checkpoint = readCheckpoint(row)
    const { partition, lease } = checkpoint
    if (before?.leaseUntilMs !== undefined && isUnderWorker(before)) {
      const [from, owner] = [row.previousWorker?.S ?? 'nobody', before.owner?.S ?? '']
      watch.check(() => watch.workers.checkTaken(from, { owner, by: process.name }))
    }
    const track = trackOf(watch.model, { partition })
    track.fence = lease.fence
    track.fences.set(process.name, lease.fence)
    watch.rows.set(partition, checkpoint)
    const leftBehind = wasTakenFromWorker(row) ? 'left by a worker that ended' : 'left behind'
    const how = leaseWasFree(row) ? 'released' : leftBehind
    events.say(`${process.name} has lease ${lease.fence} of ${partition}, ${how}`)
  }
  const client = createMemoryDynamoDb(rows, async (command, serve) => {
    const { Key } = (command as UpdateItemCommand).input
    const key = Key?.sk?.S ?? ''
    const isWorkers = key.startsWith(workerPrefix)
    const send = () =>
      ask(isWorkers ? 'declare ended' : `acquire ${key.split('/').at(-1)}`, async () => {
        const before = isWorkers ? undefined : rows.get(Key as Row)
        const { Attributes: row } = serve() as { readonly Attributes?: StoredRow }
        if (isWorkers) watch.workers.noteEnd(key.slice(workerPrefix.length))
        else if (row !== undefined) noteTaken(row, before)
        return row === undefined ? {} : { Attributes: row }
      })
    try {
      return await send()
    } catch (error) {
      // The SDK sends a request again that was not answered.
      const isTrouble = error instanceof Error && error.message === TABLE_TROUBLE
      if (!isTrouble || !events.chance.oneIn(2)) throw error
      return send()
    }
  })
  /** Each request of an acquisition is a step of its own. */
  const acquiring = createCheckpointStore(client, 'table')
  return {
    checkpoints: {
      list: flow => ask('list', () => stores.checkpoints.list(flow)),
      get: key => ask('get', () => stores.checkpoints.get(key)),
      acquire: async request => {
        try {
          return await acquiring.acquire(request)
        } catch (error) {
          const isTrouble = error instanceof Error && error.message.endsWith(TABLE_TROUBLE)
          throw isTrouble ? new Error(TABLE_TROUBLE) : error
        }
      },
      save: request =>
        ask(`save ${request.key.partition}`, async () => {
          const { key, fence, state } = request
          const isRelease = request.lease.kind === 'release'
          const answer = await stores.checkpoints.save(request)
          const at = 'position' in state ? state.position : null
          const epoch = lastEpochOf(at?.epochs ?? [])
          const same = at?.sameOffsets === undefined ? '' : ` (${writeSameOffsets(at.sameOffsets)})`
          const where = `${at?.nextSourceOffset} (epoch ${epoch}) -> ${at?.nextTargetOffset}${same}`
          events.say(
            `${process.name} saves ${key.partition} ${state.kind} at ${where}: ${answer}${isRelease ? ', released' : ''}`,
          )
          if (answer === 'lease-lost') return answer
          const before = watch.rows.get(key.partition) ?? null
          if (before !== null) watch.rows.set(key.partition, { ...before, state })
          const standby = watch.standbyLog(key.partition)
          const save = { by: process.name, key, fence, state, isRelease }
          watch.check(() =>
            checkSave(watch.model, trackOf(watch.model, key), save, { before, standby }),
          )
          return answer
        }),
      leave: lease =>
        ask(`leave ${lease.key.partition}`, async () => {
          const answer = await stores.checkpoints.leave(lease)
          events.say(`${process.name} leaves ${lease.key.partition}: ${answer}`)
          return answer
        }),
    },
    anchors: {
      append: request =>
        ask(`anchors of ${request.key.partition}`, async () => {
          const { key, of, anchors } = request
          const answer = await stores.anchors.append(request)
          const last = anchors.at(-1)
          const where = `${last?.sourceOffset} -> ${last?.targetOffset} (${last?.reason})`
          events.say(
            `${process.name} stores ${anchors.length} anchors of ${key.partition} up to ${where}: ${answer}`,
          )
          if (answer === 'overtaken') return answer
          const track = trackOf(watch.model, key)
          watch.check(() => checkAnchors(watch.model, track, of.sourceTopicId, anchors))
          return answer
        }),
    },
    workers: reachWorkers(stores.workers, { process, ask, say: events.say, watch, clock }),
    incidents: {
      record: (incident, foundUnder) =>
        ask(`incident ${incident.kind}`, async () => {
          const recorded = await stores.incidents.record(incident, foundUnder)
          events.say(`${process.name} stores incident ${incident.id}: ${recorded}`)
          if (recorded === 'recorded') watch.check(() => checkIncident(watch.model, incident))
          return recorded
        }),
      resolve: request => ask('resolve', () => stores.incidents.resolve(request)),
      list: (flow, which) => ask('list of incidents', () => stores.incidents.list(flow, which)),
      find: key => ask('incident', () => stores.incidents.find(key)),
    },
  }
}

const isReserved = (answer: 'reserved' | 'refused') => answer === 'reserved'

type Reach = {
  readonly process: SimulatedProcess
  readonly ask: <T>(what: string, serve: () => Promise<T>) => Promise<T>
  readonly say: (line: string) => void
  readonly watch: TableWatch
  readonly clock: Clock
}

function reachWorkers(
  workers: WorkerStore,
  { process, ask, say, watch, clock }: Reach,
): WorkerStore {
  const { workers: known, check } = watch
  const told = <T extends { readonly worker: string }, A>(
    what: string,
    serve: (request: T) => Promise<A>,
  ) => {
    return (request: T) =>
      ask(what, async () => {
        const answer = await serve(request)
        say(`${process.name}: ${what} of ${request.worker}: ${JSON.stringify(answer ?? 'done')}`)
        return answer
      })
  }
  /** An answer that is accepted, by what the table says and by what the process knows. */
  const lives = <T extends WorkerKey, A>(
    what: string,
    serve: (request: T) => Promise<A>,
    isAccepted: (answer: A) => boolean,
  ) => {
    const ask = told(what, async (request: T) => {
      const answer = await serve(request)
      if (isAccepted(answer)) check(() => known.checkLives(request, what))
      return answer
    })
    return async (request: T) => {
      const sentAtMs = clock.nowMs()
      const answer = await ask(request)
      const renews = what === 'begin' || what === 'renew'
      if (renews && isAccepted(answer)) known.noteRenewed(process.name, sentAtMs)
      return answer
    }
  }
  return {
    list: flow => ask('list of workers', () => workers.list(flow)),
    reserve: request => ask('reserve', () => workers.reserve(request)),
    reserveSuccessor: lives('reserve successor', workers.reserveSuccessor, isReserved),
    begin: lives('begin', workers.begin, answer => answer === 'begun'),
    renew: lives('renew', workers.renew, answer => answer.kind === 'renewed'),
    assign: lives('assign', workers.assign, answer => answer === 'assigned'),
    declareEnded: told('declare ended', async request => {
      const answer = await workers.declareEnded(request)
      if (answer.kind !== 'live') known.noteEnd(request.worker)
      return answer
    }),
    end: told('end', async request => {
      await workers.end(request)
      known.noteEnd(request.worker)
    }),
    sweep: told('sweep', workers.sweep),
  }
}
