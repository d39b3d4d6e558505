// Owns `gapless drill failover --clean`: removes what drills left that were killed. A drill that
// still runs says so every few seconds, and is left alone. Does not own what is removed
// (lib/run/drill/remove-drill.ts).

import { drillAliveMs } from '../../lib/core/config/failover-limits.ts'
import { errorText } from '../../lib/core/error-text.ts'
import type { Drill } from '../../lib/core/row/drill-row.ts'
import { removeGroup } from '../../lib/io/admin/group-removal.ts'
import { createTopicAdmin } from '../../lib/io/admin/topic-admin.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { createDrillStore, type DrillStore } from '../../lib/io/failover/drill-store.ts'
import { type DrillReport, reportDrill } from '../../lib/run/drill/drill-report.ts'
import { openLedger } from '../../lib/run/drill/ledger.ts'
import { type DrilledCluster, removeDrill } from '../../lib/run/drill/remove-drill.ts'
import type { Context } from '../context.ts'
import { leftoverLine } from './drill-text.ts'

export async function cleanDrills(context: Context): Promise<DrillReport> {
  const drills = createDrillStore(await context.dynamoDb(), context.table)
  const leftovers = await drills.list()
  const ledger = openLedger()
  const left: string[] = []
  for (const each of leftovers) {
    if (await isAlive(context, drills, each)) {
      left.push(`drill ${each.drill} runs (${each.by}): end it there, with Ctrl-C`)
      continue
    }
    context.note(`removing ${leftoverLine(each)}`)
    left.push(...(await removeFrom(context, drills, each)))
  }
  const result = left.length === 0 ? 'cleaned' : 'not-cleaned'
  return reportDrill({ drill: null, ledger, leftovers, result, left })
}

/** Waits as long as a drill that was just killed still seems to live. */
async function isAlive(context: Context, drills: DrillStore, found: Drill): Promise<boolean> {
  const waitMs = found.aliveUntilMs - systemClock.nowMs()
  // A time that lies further ahead was written by a wrong clock.
  if (waitMs <= 0 || waitMs > drillAliveMs * 2) return false
  const seconds = Math.ceil(waitMs / 1_000)
  context.note(`Looking for ${seconds} s whether drill ${found.drill} (${found.by}) still runs.`)
  for (let looks = 0; looks < seconds; looks += 1) {
    await systemClock.wait(1_000)
    const now = (await drills.list()).find(each => each.drill === found.drill)
    if (now === undefined) return false
    if (now.aliveUntilMs !== found.aliveUntilMs) return now.aliveUntilMs > systemClock.nowMs()
  }
  return false
}

/** What could not be removed, one sentence each. */
export async function removeFrom(
  context: Context,
  drills: DrillStore,
  drill: Drill,
): Promise<readonly string[]> {
  try {
    const [source, standby] = [
      await drilledCluster(context, drill.source),
      await drilledCluster(context, drill.standby),
    ]
    return await removeDrill({ drills, source, standby }, drill)
  } catch (error) {
    // The configuration has lost the cluster since, or its secret cannot be read.
    return [`drill ${drill.drill}: ${errorText(error)}`]
  }
}

async function drilledCluster(context: Context, name: string): Promise<DrilledCluster> {
  const cluster = await context.cluster(name)
  const topics = createTopicAdmin(cluster)
  return { name, topics, removeGroup: group => removeGroup(cluster, group) }
}
