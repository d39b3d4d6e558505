// Owns asking any broker of a cluster: one after the other, yet none waits for long for the one
// before it (as RFC 8305, Happy Eyeballs, does with addresses), and a broker that did not answer is
// asked last for a while. So an address that takes connections and never answers costs
// `nextBrokerMs` once, and a cluster that does not answer at all is known after `anyBrokerMsMax`.
// Does not own which addresses there are (brokers.ts).

import type { Connection } from '@platformatic/kafka'
import {
  anyBrokerMsMax,
  nextBrokerMs,
  silentBrokerMs,
  silentClusterMsMax,
} from '../../core/config/defaults.ts'
import type { Clock } from '../clock.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'
import type { Address, Connections } from './connection.ts'

/** Every broker is being asked after this part of the time, however many there are. */
const STARTING_SHARE = 4

type Request<T> = (on: Connection) => Promise<T>

export type AnyBroker = {
  /** Resolves with the first answer. Throws `BrokerFailure` when none comes in time. */
  ask<T>(addresses: readonly Address[], request: Request<T>): Promise<T>
  /** Asks this broker alone, and remembers whether it answered. */
  askOne<T>(address: Address, request: Request<T>): Promise<T>
  /** True for `silentBrokerMs` after the broker did not answer, unless it answered since. */
  isSilent(address: Address): boolean
}

export function createAnyBroker(input: {
  readonly cluster: string
  readonly connections: Pick<Connections, 'call'>
  readonly clock: Pick<Clock, 'nowMs'>
}): AnyBroker {
  const { cluster, connections, clock } = input
  const silentSinceMs = new Map<string, number>()
  const isSilent = (address: Address) => {
    const sinceMs = silentSinceMs.get(nameOf(address))
    return sinceMs !== undefined && clock.nowMs() - sinceMs < silentBrokerMs
  }
  const wasSilent = (address: Address) => silentSinceMs.set(nameOf(address), clock.nowMs())
  const askOne = async <T>(address: Address, request: Request<T>): Promise<T> => {
    try {
      const answer = await connections.call(address, request)
      silentSinceMs.delete(nameOf(address))
      return answer
    } catch (error) {
      if (error instanceof BrokerFailure && error.reason === 'unreachable') wasSilent(address)
      throw error
    }
  }
  const ask = <T>(addresses: readonly Address[], request: Request<T>): Promise<T> => {
    const distinct = [...new Map(addresses.map(each => [nameOf(each), each])).values()]
    const waiting = distinct.toSorted((left, right) => +isSilent(left) - +isSilent(right))
    const limitMs = distinct.every(isSilent) ? silentClusterMsMax : anyBrokerMsMax
    const nextMs = Math.min(nextBrokerMs, limitMs / STARTING_SHARE / distinct.length)
    /** Brokers that have not answered yet, in the order of asking. */
    let asked: readonly Address[] = []
    const failures: BrokerFailure[] = []
    const answered = Promise.withResolvers<T>()
    let next: NodeJS.Timeout | null = null
    const askNext = () => {
      clearTimeout(next ?? undefined)
      const address = waiting.shift()
      if (address === undefined) return
      asked = [...asked, address]
      next = setTimeout(askNext, nextMs)
      askOne(address, request).then(
        answer => {
          // Brokers that were asked earlier and have not answered: the next request passes them.
          for (const each of asked.slice(0, asked.indexOf(address))) wasSilent(each)
          answered.resolve(answer)
        },
        error => {
          asked = asked.filter(each => each !== address)
          if (!(error instanceof BrokerFailure)) return answered.reject(error)
          failures.push(error)
          if (waiting.length > 0) askNext()
          else if (asked.length === 0) answered.reject(worstOf(failures))
        },
      )
    }
    const late = setTimeout(() => {
      for (const each of asked) wasSilent(each)
      const names = asked.map(nameOf).join(', ')
      const detail = `broker ${names}: no answer within ${limitMs / 1000} s`
      const failure = new BrokerFailure({ reason: 'unreachable', cluster, detail })
      answered.reject(worstOf([...failures, failure]))
    }, limitMs)
    askNext()
    return answered.promise.finally(() => {
      clearTimeout(late)
      clearTimeout(next ?? undefined)
      waiting.length = 0
    })
  }
  return { ask, askOne, isSilent }
}

function nameOf({ host, port }: Address): string {
  return `${host}:${port}`
}

/** A refusal of our credentials says more than a broker that does not answer. */
function worstOf(failures: readonly BrokerFailure[]): BrokerFailure | undefined {
  return failures.find(failure => failure.reason === 'authorization-denied') ?? failures.at(-1)
}
