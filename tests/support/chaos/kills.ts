// Draws what the killing hand does, and when. Owns the plan, not its execution (strike.ts).

import { type Chance, createChance } from '../seeded-chance.ts'
import { shortLeases } from '../worlds/flow-fixture.ts'

/** What a process of process.ts says that it does. */
export const activities = ['produce', 'checkpoint', 'take-over'] as const
export type Activity = (typeof activities)[number]

export type Victim = 'function' | 'zombie' | 'source-broker' | 'target-broker' | 'table'

/**
 * How long a zombie is frozen. brief: its lease lasts longer, and nobody takes its place.
 * about-a-lease: the next process is waiting for its lease, or in the middle of taking over.
 * until-overtaken: the next one copies. over-the-next-kill: it copies, and something else is killed
 * before the zombie wakes.
 */
const freezes = [
  'brief',
  'about-a-lease',
  'until-overtaken',
  'until-overtaken',
  'over-the-next-kill',
] as const
export type Freeze = (typeof freezes)[number]

/** When the killing hand strikes. */
export type Kill = {
  readonly victim: Victim
  /** Only once something was copied since the last kill; otherwise the moment may be any. */
  readonly afterProgress: boolean
  readonly afterMs: number
  /** After that: as soon as this begins. null: there and then. */
  readonly during: Activity | 'transaction' | null
  /** How long a broker or the endpoint stays down before it is started again. */
  readonly downMs: number
  readonly freeze: Freeze
  /** Of a freeze that ends by the clock; of another one, how long after what it waits for. */
  readonly frozenMs: number
}

export type KillOrder = {
  readonly kills: number
  readonly seed: number
  /** In an order that is drawn, each as often as it is named, before any of them comes again. */
  readonly victims: readonly [Victim, ...Victim[]]
}

const COPYING_MS_MAX = 700
/** From the process's start, over the wait for a lease, into the copying. */
const ANY_MOMENT_MS_MAX = 7_000
const DOWN_MS_MAX = 2_000
const OVERTAKEN_MS_MAX = 1_500

/** What each victim is struck in the middle of; null is any moment. */
const weakMoments: Record<Victim, readonly [Kill['during'], ...Kill['during'][]]> = {
  function: [null, null, 'produce', 'checkpoint', 'take-over'],
  zombie: [null, 'produce', 'produce', 'checkpoint', 'take-over'],
  'source-broker': [null, 'transaction', 'transaction'],
  'target-broker': [null, 'produce', 'take-over'],
  table: [null, 'checkpoint', 'checkpoint', 'checkpoint'],
}

/** The same seed draws the same kills. */
export function drawKills({ kills, seed, victims: from }: KillOrder): Kill[] {
  const chance = createChance(seed)
  const deck = createDeck(chance, from)
  const freezeDeck = createDeck(chance, freezes)
  return Array.from({ length: kills }, () => {
    const victim = deck()
    const afterProgress = !chance.oneIn(5)
    const freeze = victim === 'zombie' ? freezeDeck() : 'brief'
    return {
      victim,
      afterProgress,
      afterMs: chance.integer(0, afterProgress ? COPYING_MS_MAX : ANY_MOMENT_MS_MAX),
      during: chance.pick(weakMoments[victim]),
      downMs: chance.integer(0, DOWN_MS_MAX),
      freeze,
      frozenMs: frozenMs(chance, freeze),
    }
  })
}

function frozenMs(chance: Chance, freeze: Freeze): number {
  const { leaseMs, checkpointIntervalMs } = shortLeases
  switch (freeze) {
    case 'brief':
      return chance.integer(0, leaseMs - checkpointIntervalMs)
    case 'about-a-lease':
      return chance.integer(leaseMs - checkpointIntervalMs, leaseMs + 2 * checkpointIntervalMs)
    case 'until-overtaken':
    case 'over-the-next-kill':
      return chance.integer(0, OVERTAKEN_MS_MAX)
  }
}

/** Deals every card once, in an order that is drawn, before any of them comes again. */
function createDeck<T>(chance: Chance, cards: readonly [T, ...T[]]): () => T {
  let left: T[] = []
  return () => {
    if (left.length === 0) left = [...cards]
    const [card = cards[0]] = left.splice(chance.integer(0, left.length - 1), 1)
    return card
  }
}
