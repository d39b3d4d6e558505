// Asking any broker of a cluster while some of them take connections and never answer. Time is
// that of fake timers.

import type { Connection } from '@platformatic/kafka'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  anyBrokerMsMax,
  connectMsMax,
  controlRequestMsMax,
  nextBrokerMs,
  silentBrokerMs,
  silentClusterMsMax,
  tickMsMax,
} from '../../../../lib/core/config/defaults.ts'
import { createAnyBroker } from '../../../../lib/io/cluster/any-broker.ts'
import type { Address } from '../../../../lib/io/cluster/connection.ts'
import { BrokerFailure } from '../../../../lib/io/failure/broker-failure.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const due: { readonly atMs: number; readonly arrived: PromiseWithResolvers<void> }[] = []

/** Lets time pass, and answers arrive at their time. */
async function pass(ms: number): Promise<void> {
  for (const untilMs = Date.now() + ms; Date.now() < untilMs; ) {
    await vi.advanceTimersByTimeAsync(10)
    for (const { atMs, arrived } of due) if (atMs <= Date.now()) arrived.resolve()
    await vi.advanceTimersByTimeAsync(0)
  }
}

const at = (host: string): Address => ({ host, port: 9092 })

/** `answers` has what each host does: ms until it answers, `never`, or a failure. */
function clusterOf(answers: Readonly<Record<string, number | 'never' | BrokerFailure>>) {
  const asked: string[] = []
  const does = { ...answers }
  const anyBroker = createAnyBroker({
    cluster: 'primary',
    clock: { nowMs: () => Date.now() },
    connections: {
      async call<T>({ host }: Address, request: (on: Connection) => Promise<T>): Promise<T> {
        asked.push(host)
        const answer = does[host] ?? 'never'
        if (answer instanceof BrokerFailure) throw answer
        if (answer === 'never') return new Promise<T>(() => undefined)
        const arrived = Promise.withResolvers<void>()
        due.push({ atMs: Date.now() + answer, arrived })
        await arrived.promise
        return request({ host } as unknown as Connection)
      },
    },
  })
  const addresses = Object.keys(answers).map(at)
  const ask = async () => {
    const startedMs = Date.now()
    const outcome = anyBroker
      .ask(addresses, async on => (on as unknown as { host: string }).host)
      .then(
        from => ({ from, failure: null }),
        (failure: Error) => ({ from: null, failure }),
      )
    let settled: Awaited<typeof outcome> | null = null
    void outcome.then(each => {
      settled = each
    })
    while (settled === null) await pass(10)
    return { ...(settled as Awaited<typeof outcome>), tookMs: Date.now() - startedMs }
  }
  return { anyBroker, asked, does, ask }
}

const failure = (reason: BrokerFailure['reason'], detail: string) =>
  new BrokerFailure({ reason, cluster: 'primary', detail })

describe('a broker that does not answer', () => {
  test('a hung broker delays the first answer by half a second, and no later one', async () => {
    const { ask, asked } = clusterOf({ hung: 'never', up: 10, other: 10 })

    const first = await ask()
    const second = await ask()

    expect([first.from, second.from]).toEqual(['up', 'up'])
    expect(first.tookMs).toBeLessThanOrEqual(nextBrokerMs + 50)
    expect(second.tookMs).toBeLessThanOrEqual(50)
    expect(asked).toEqual(['hung', 'up', 'up'])
  })

  test('many hung brokers delay the answer of a healthy one by a quarter of the limit at most', async () => {
    const hung = Object.fromEntries(
      Array.from({ length: 99 }, (_, index) => [`hung${index}`, 'never' as const]),
    )
    const { ask } = clusterOf({ ...hung, up: 10 })
    const { from, tookMs } = await ask()
    expect(from).toBe('up')
    expect(tookMs).toBeLessThanOrEqual(anyBrokerMsMax / 4 + 100)
  })

  test('a hung broker is asked first again when its time is over, or once it has answered', async () => {
    const { ask, asked, anyBroker } = clusterOf({ hung: 'never', up: 10 })
    await ask()
    expect(anyBroker.isSilent(at('hung'))).toBe(true)
    await pass(silentBrokerMs)
    expect(anyBroker.isSilent(at('hung'))).toBe(false)
    asked.length = 0
    await ask()
    expect(asked).toEqual(['hung', 'up'])
  })

  test('a slow broker that answered after all is not taken for a hung one', async () => {
    const { ask, anyBroker } = clusterOf({ slow: nextBrokerMs + 200, up: 10 })
    await ask()
    expect(anyBroker.isSilent(at('slow'))).toBe(true)
    await pass(nextBrokerMs)
    expect(anyBroker.isSilent(at('slow'))).toBe(false)
  })

  test('a broker that refuses the connection is passed over at once', async () => {
    const { ask, asked } = clusterOf({ down: failure('unreachable', 'ECONNREFUSED'), up: 10 })
    expect((await ask()).tookMs).toBeLessThanOrEqual(50)
    expect((await ask()).from).toBe('up')
    expect(asked).toEqual(['down', 'up', 'up'])
  })
})

describe('a cluster that does not answer', () => {
  test('a cluster whose brokers all hang is unreachable within the limit, with their names, and sooner when it is asked again', async () => {
    const { ask } = clusterOf({ one: 'never', two: 'never', three: 'never' })

    const first = await ask()
    const second = await ask()

    expect(first.failure).toMatchObject({
      name: 'BrokerFailure',
      reason: 'unreachable',
      message: 'broker one:9092, two:9092, three:9092: no answer within 20 s',
    })
    expect(first.tookMs).toBeLessThanOrEqual(anyBrokerMsMax + 50)
    expect(second.tookMs).toBeLessThanOrEqual(silentClusterMsMax + 50)
  })

  test('a cluster that answers again is found, although all its brokers did not answer before', async () => {
    const { ask, does } = clusterOf({ one: 'never', two: 'never', three: 'never' })
    await ask()
    does.three = 10
    expect((await ask()).from).toBe('three')
  })

  test('a refused login is told, whatever the other brokers do', async () => {
    const denied = failure('authorization-denied', 'refused')
    const { ask } = clusterOf({ hung: 'never', denied, down: failure('unreachable', 'down') })
    expect((await ask()).failure).toBe(denied)
  })

  test('an address that is named twice is asked once', async () => {
    const { anyBroker, asked } = clusterOf({ down: failure('unreachable', 'down') })
    await expect(anyBroker.ask([at('down'), at('down')], async () => null)).rejects.toThrow('down')
    expect(asked).toEqual(['down'])
  })
})

test('two clusters that do not answer are both unreachable before the time of a tick is over', () => {
  // A broker gets as much time as a connection and a request may take.
  expect(connectMsMax + controlRequestMsMax).toBeLessThanOrEqual(anyBrokerMsMax)
  // A tick looks for the topics of the source, then at both clusters at the same time.
  const findTopicsMs = anyBrokerMsMax
  const observeMs = Math.max(silentClusterMsMax, anyBrokerMsMax)
  expect(findTopicsMs + observeMs).toBeLessThan(tickMsMax)
  // With a source that answers: the standby topics, then both clusters.
  expect(anyBrokerMsMax + silentClusterMsMax).toBeLessThan(tickMsMax)
})
