// Draws the victims and the moments of the kills. Owns the plan, not its execution (strike.ts).

import { type Chance, createChance } from '../seeded-chance.ts'
import { shortLeases } from '../worlds/flow-fixture.ts'

/** The activities whose begin and end a process of process.ts writes. */
export const activities = ['produce', 'checkpoint', 'recovery'] as const
export type Activity = (typeof activities)[number]

export type Victim = 'function' | 'zombie' | 'source-broker' | 'target-broker' | 'table'

/**
 * How long a zombie is frozen. brief: its lease lasts longer, and no other process starts.
 * about-a-lease: the next process is waiting for the lease, or is recovering from the crash.
 * until-overtaken: the next process copies. over-the-next-kill: the next process copies, and
 * another victim is killed before the zombie wakes.
 */
const freezes = [
  'brief',
  'about-a-lease',
  'until-overtaken',
  'until-overtaken',
  'over-the-next-kill',
] as const
export type Freeze = (typeof freezes)[number]

/** One kill: its victim and its moment. */
export type Kill = {
  readonly victim: Victim
  /** True: wait until a record was copied since the last kill. False: any moment. */
  readonly afterProgress: boolean
  readonly afterMs: number
  /** After `afterMs`, wait until this activity begins. null: kill at once. */
  readonly during: Activity | 'transaction' | null
  /** How long a broker or the endpoint stays down before it is started again. */
  readonly downMs: number
  readonly freeze: Freeze
  /** How long a freeze lasts; one that waits for another process lasts so much longer than that. */
  readonly frozenMs: number
}

export type KillOrder = {
  readonly kills: number
  readonly seed: number
  /** In a drawn order, each as often as it is named, before any of them is drawn again. */
  readonly victims: readonly [Victim, ...Victim[]]
}

const COPYING_MS_MAX = 700
/** Reaches from the start of a process, past its wait for a lease, into its copying. */
const ANY_MOMENT_MS_MAX = 7_000
const DOWN_MS_MAX = 2_000
const OVERTAKEN_MS_MAX = 1_500

/** The activities during which each victim is killed; null is any moment. */
const weakMoments: Record<Victim, readonly [Kill['during'], ...Kill['during'][]]> = {
  function: [null, null, 'produce', 'checkpoint', 'recovery'],
  zombie: [null, 'produce', 'produce', 'checkpoint', 'recovery'],
  'source-broker': [null, 'transaction', 'transaction'],
  'target-broker': [null, 'produce', 'recovery'],
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

/** Deals every card once, in a drawn order, before any of them is dealt again. */
function createDeck<T>(chance: Chance, cards: readonly [T, ...T[]]): () => T {
  let left: T[] = []
  return () => {
    if (left.length === 0) left = [...cards]
    const [card = cards[0]] = left.splice(chance.integer(0, left.length - 1), 1)
    return card
  }
}
