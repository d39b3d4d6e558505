// Owns the table as one process of a simulation reaches it: each call may be lost before it is
// applied, or its answer is lost, and every applied write is checked against the invariants at
// once.

import { lastEpochOf } from '../../../lib/core/partition/epoch-history.ts'
import type { Checkpoint } from '../../../lib/core/row/checkpoint.ts'
import type { Clock } from '../../../lib/io/clock.ts'
import type { CheckpointStore, IncidentStore, WorkerStore } from '../../../lib/io/table/stores.ts'
import type { FakeLog } from '../../support/doubles/fake-log.ts'
import { checkSave } from '../invariants.ts'
import { checkIncident } from '../true-incidents.ts'
import { type Model, trackOf } from './model.ts'
import type { NetworkEvents } from './network.ts'
import type { SimulatedProcess } from './simulated-process.ts'

export type Stores = {
  readonly checkpoints: CheckpointStore
  readonly workers: WorkerStore
  readonly incidents: IncidentStore
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
}

export const TABLE_TROUBLE = 'the table did not answer'

export function reachTable(
  stores: Stores,
  input: {
    readonly process: SimulatedProcess
    readonly clock: Clock
    readonly events: NetworkEvents
    readonly watch: TableWatch
  },
): Stores {
  const { process, clock, events, watch } = input
  const ask = async <T>(what: string, serve: () => Promise<T>): Promise<T> => {
    const fails = await process.cross(`before the table's ${what}`)
    const { troubleOneIn, latencyMsMax } = events.weather()
    const isInTrouble = troubleOneIn > 0 && events.chance.oneIn(troubleOneIn)
    const isApplied = !isInTrouble || events.chance.oneIn(2)
    await clock.wait(events.chance.integer(0, Math.min(20, latencyMsMax)))
    if (fails || !isApplied) throw new Error(TABLE_TROUBLE)
    const answer = await serve()
    events.served(process, 'table', what)
    await clock.wait(events.chance.integer(0, Math.min(20, latencyMsMax)))
    if ((await process.cross(`after the table's ${what}`)) || isInTrouble) {
      events.lostAnswer()
      throw new Error(TABLE_TROUBLE)
    }
    return answer
  }
  return {
    checkpoints: {
      list: flow => ask('list', () => stores.checkpoints.list(flow)),
      get: key => ask('get', () => stores.checkpoints.get(key)),
      acquire: request =>
        ask(`acquire ${request.key.partition}`, async () => {
          const answer = await stores.checkpoints.acquire(request)
          if (answer.kind === 'acquired') {
            const track = trackOf(watch.model, request.key)
            const { fence } = answer.checkpoint.lease
            track.fence = fence
            track.fences.set(process.name, fence)
            watch.rows.set(request.key.partition, answer.checkpoint)
            const leftBehind = answer.tookFromWorker ? 'left by a worker that ended' : 'left behind'
            const how = answer.cleanHandOver ? 'released' : leftBehind
            events.say(`${process.name} has lease ${fence} of ${request.key.partition}, ${how}`)
          }
          return answer
        }),
      save: request =>
        ask(`save ${request.key.partition}`, async () => {
          const { key, fence, state } = request
          const isRelease = request.lease.kind === 'release'
          const answer = await stores.checkpoints.save(request)
          const at = 'position' in state ? state.position : null
          const epoch = lastEpochOf(at?.epochs ?? [])
          const where = `${at?.nextSourceOffset} (epoch ${epoch}) -> ${at?.nextTargetOffset}`
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
    workers: reachWorkers(stores.workers, { process, ask, say: events.say }),
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

type Reach = {
  readonly process: SimulatedProcess
  readonly ask: <T>(what: string, serve: () => Promise<T>) => Promise<T>
  readonly say: (line: string) => void
}

function reachWorkers(workers: WorkerStore, { process, ask, say }: Reach): WorkerStore {
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
  return {
    list: flow => ask('list of workers', () => workers.list(flow)),
    reserve: request => ask('reserve', () => workers.reserve(request)),
    reserveSuccessor: told('reserve successor', workers.reserveSuccessor),
    begin: told('begin', workers.begin),
    renew: told('renew', workers.renew),
    assign: told('assign', workers.assign),
    declareEnded: told('declare ended', workers.declareEnded),
    end: told('end', workers.end),
    sweep: told('sweep', workers.sweep),
  }
}
