// Owns what a tick stores about records that the standby has lost: an incident for each partition,
// updated while the loss grows and ended once the source does not hold the records any more. No
// lease is needed, because no position depends on it. Does not own finding the losses
// (compare/standby-losses.ts).

import { incidentLines } from '../../core/monitoring/incident-lines.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import { findStandbyLosses, type LossesDeps, type LossesLook } from '../compare/standby-losses.ts'
import { truncatedWarning } from '../observe/standby-settings.ts'

/** Returns one sentence for each partition whose loss stands since an earlier tick. */
export async function reportStandbyLosses(
  deps: LossesDeps & { readonly clock: Clock; readonly log: Log },
  look: LossesLook,
): Promise<string[]> {
  const { incidents, clock, log } = deps
  const { found, standing, over } = await findStandbyLosses(deps, look)
  for (const incident of found) {
    await incidents.record(incident)
    for (const line of incidentLines(incident)) log(line)
  }
  for (const { id, flow, topic, partition } of over) {
    await incidents.resolve({ flow, id, resolution: 'recovered', nowMs: clock.nowMs() })
    const text = `Standby of ${topic}-${partition}, flow ${flow}: the source holds none of the lost records any more.`
    log({ level: 'info', text })
  }
  return standing.map(truncatedWarning)
}
