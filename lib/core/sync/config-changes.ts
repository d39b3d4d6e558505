// Owns which configs of a standby topic are to be changed so that it has what its source topic
// wants of it. Pure. Does not own which configs travel (standby/topic-configs.ts), the policy of
// the flow, nor the request (io/admin/topic-admin.ts).

import {
  type ConfigRules,
  policiesOf,
  type SourceConfigs,
  type WantedConfig,
  wantedConfigs,
} from '../standby/topic-configs.ts'

/** One config of a standby topic that differs from what is wanted. */
export type ConfigChange = {
  readonly config: string
  /** The effective value on the standby; null: its broker does not tell the config. */
  readonly from: string | null
  /** Null: the config is removed from the topic, so that the default of the standby applies. */
  readonly to: string | null
}

/** The changes of one standby topic, in the order of the table; none where nothing differs. */
export function configChanges(
  source: SourceConfigs,
  standby: SourceConfigs,
  rules: ConfigRules,
): ConfigChange[] {
  return wantedConfigs(source, rules).flatMap(wanted => {
    if (isAsWanted(wanted, standby)) return []
    const { config, value: to } = wanted
    return [{ config, from: standby.values.get(config) ?? null, to }]
  })
}

function isAsWanted(
  { config, value: wanted, isMinimum }: WantedConfig,
  { values, own }: SourceConfigs,
): boolean {
  const value = values.get(config)
  if (wanted === null) return !own.has(config)
  // A broker that does not tell the config does not know it, and would refuse it.
  if (value === undefined) return true
  if (value === wanted) return true
  if (config === 'cleanup.policy') return isSamePolicy(value, wanted)
  return isMinimum && isAtLeast(value, wanted)
}

/** A list in another order is the same policy. */
function isSamePolicy(left: string, right: string): boolean {
  const [one, other] = [policiesOf(left), policiesOf(right)]
  return one.size === other.size && [...one].every(each => other.has(each))
}

function isAtLeast(value: string, minimum: string): boolean {
  const isNumber = (text: string) => /^\d+$/.test(text)
  return isNumber(value) && isNumber(minimum) && BigInt(value) >= BigInt(minimum)
}
