// Owns what `gapless status` says about records that a standby loses or has lost: the lossy
// settings of its topics, and the open incidents `standby-truncated`. Does not own the comparison
// (observe/standby-settings.ts) nor the search for lost records (compare/standby-losses.ts).

import type { Incident } from '../../core/incident.ts'
import {
  type StandbySettings,
  settingsTexts,
  truncatedWarning,
} from '../observe/standby-settings.ts'

export type StandbyWarnings = {
  /** One sentence each, all of them. */
  readonly warnings: readonly string[]
  /** Those of `warnings` that mean a loss; where they are not known, why. */
  readonly losses: readonly string[]
}

export function standbyWarnings(
  settings: StandbySettings,
  { flow, open }: { readonly flow: string; readonly open: readonly Incident[] },
): StandbyWarnings {
  const truncated = open.filter(({ kind }) => kind === 'standby-truncated').map(truncatedWarning)
  const losing = settings.lossy.filter(each => each.severity === 'loses')
  const all = settingsTexts(settings, flow, Number.POSITIVE_INFINITY)
  return {
    warnings: [...all, ...truncated],
    losses: [...[...losing, ...settings.unknown].map(each => each.text), ...truncated],
  }
}
