// Owns what `gapless status` says about records that a standby loses or has lost: the lossy
// settings of its topics, and the open incidents `standby-truncated`. Does not own the comparison
// (observe/standby-settings.ts) nor the search for lost records (compare/standby-losses.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import type { Incident } from '../../core/incident.ts'
import {
  compareSettings,
  type SettingsDeps,
  settingsTexts,
  truncatedWarning,
} from '../observe/standby-settings.ts'

export type StandbyWarnings = {
  /** One sentence each, all of them. */
  readonly warnings: readonly string[]
  /** Those of `warnings` that mean a loss; where they are not known, why. */
  readonly losses: readonly string[]
}

/** Never throws when a cluster refuses or does not answer. */
export async function readStandbyWarnings(
  deps: SettingsDeps,
  flow: FlowConfig,
  { topics, open }: { readonly topics: readonly string[]; readonly open: readonly Incident[] },
): Promise<StandbyWarnings> {
  const settings = await compareSettings(deps, flow, topics)
  const truncated = open.filter(({ kind }) => kind === 'standby-truncated').map(truncatedWarning)
  const losing = settings.lossy.filter(each => each.severity === 'loses')
  const all = settingsTexts(settings, flow.name, Number.POSITIVE_INFINITY)
  return {
    warnings: [...all, ...truncated],
    losses: [...[...losing, ...settings.unknown].map(each => each.text), ...truncated],
  }
}
