// Carries out one kill: waits for its moment, notes the activities that are running, sends the
// signal, and restarts a broker or the table. Owns neither the plan (kills.ts) nor the processes
// (child.ts).

import { systemClock } from '../../../lib/io/clock.ts'
import type { FlowFixture } from '../worlds/flow-fixture.ts'
import type { ChaosChild, Frozen } from './child.ts'
import { type Activity, activities, type Kill } from './kills.ts'
import type { ChaosProducers } from './producers.ts'

export type Scene = {
  readonly world: FlowFixture
  readonly child: ChaosChild
  readonly producers: ChaosProducers
  /** Frozen processes that wake after the next kill. */
  readonly sleepers: Frozen[]
  readonly onStrike: (struck: Struck) => void
}

export type Struck = {
  readonly kill: Kill
  /** The activities that were running when the signal was sent, as far as was known then. */
  readonly underWay: readonly (Activity | 'transaction')[]
}

const TRANSACTION_MS_MAX = 10_000
const POLL_MS = 5

/** Returns an error text when copying stalls afterwards, otherwise null. */
export async function strike(scene: Scene, kill: Kill): Promise<string | null> {
  const { child, sleepers } = scene
  const sleeping = sleepers.splice(0)
  // This wait is for a length of time and not for a state, because the moment is drawn.
  await systemClock.wait(kill.afterMs)
  // A crash now makes the next process recover.
  if (kill.during === 'recovery') await child.kill()
  const wrong = kill.victim === 'zombie' ? await freeze(scene, kill) : await bringDown(scene, kill)
  for (const each of sleeping) each.wake()
  return wrong
}

async function bringDown(scene: Scene, kill: Kill): Promise<null> {
  const { world, child, producers } = scene
  if (kill.during === 'transaction') await inTransaction(producers)
  else if (kill.during !== null) await child.moment(kill.during)
  note(scene, kill)
  if (kill.victim === 'function') {
    await child.kill()
    return null
  }
  const victims = { 'source-broker': world.source, 'target-broker': world.target, table: world.aws }
  const victim = victims[kill.victim as keyof typeof victims]
  await victim.kill()
  await systemClock.wait(kill.downMs)
  await victim.restart()
  return null
}

async function freeze(scene: Scene, kill: Kill): Promise<string | null> {
  const { child, sleepers } = scene
  const frozen = await child.freeze(kill.during === 'transaction' ? null : kill.during)
  note(scene, kill)
  if (kill.freeze !== 'brief') frozen.replace()
  const waits = kill.freeze === 'until-overtaken' || kill.freeze === 'over-the-next-kill'
  const wrong = waits ? await frozen.overtaken() : null
  if (kill.freeze === 'over-the-next-kill') {
    sleepers.push(frozen)
    return wrong
  }
  await systemClock.wait(kill.frozenMs)
  frozen.wake()
  return wrong
}

function note({ child, producers, onStrike }: Scene, kill: Kill): void {
  const own = activities.filter(each => child.underWay(each) > 0 || isHeld(kill, each))
  onStrike({
    kill,
    underWay: producers.openTransactions() > 0 ? [...own, 'transaction'] : own,
  })
}

/** `underWay` does not count the frozen process, whose activity is the one it was frozen in. */
function isHeld({ victim, during }: Kill, activity: Activity): boolean {
  return victim === 'zombie' && during === activity
}

async function inTransaction(producers: ChaosProducers): Promise<void> {
  const endsMs = systemClock.nowMs() + TRANSACTION_MS_MAX
  while (producers.openTransactions() === 0 && systemClock.nowMs() < endsMs) {
    await systemClock.wait(POLL_MS)
  }
}
