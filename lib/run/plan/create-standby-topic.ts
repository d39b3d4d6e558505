// Owns creating one standby topic with the configs of its source topic. A config that the standby
// refuses (an older broker, a managed service with rules of its own) must not keep the topic from
// being created: the config is left out and named. Does not own which configs travel
// (core/standby/topic-configs.ts).

import { refusedConfigsMax } from '../../core/config/defaults.ts'
import { keepingConfigs, refusedConfigs } from '../../core/standby/topic-configs.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'

type Configs = Readonly<Record<string, string>>

export type NewTopic = {
  readonly name: string
  readonly partitions: number
  readonly configs: Configs
}

/**
 * Creates the topic and returns one sentence for each refusal of the standby. Throws
 * `ReplicatorError` when the topic is refused without any config too, or the cluster does not
 * answer.
 */
export async function createStandbyTopic(
  admin: Pick<TopicAdmin, 'createTopic'>,
  { name, partitions, configs: wanted }: NewTopic,
): Promise<string[]> {
  const warnings: string[] = []
  let configs = wanted
  // Ends: each further attempt has fewer configs, and one without any is the last.
  while (true) {
    try {
      await admin.createTopic({ name, partitions, configs })
      return warnings
    } catch (error) {
      if (!isRefusalOfConfigs(error) || isEmpty(configs)) throw error
      const fewer = withoutRefused(configs, { answer: error.message, refusals: warnings.length })
      warnings.push(refusedText(name, { configs, fewer, answer: error.message }))
      configs = fewer
    }
  }
}

/** Brokers answer INVALID_CONFIG, policies POLICY_VIOLATION, and proxies INVALID_REQUEST. */
function isRefusalOfConfigs(error: unknown): error is ReplicatorError {
  if (!(error instanceof ReplicatorError) || error.code !== 'cluster-refused') return false
  return /: (INVALID_CONFIG|POLICY_VIOLATION|INVALID_REQUEST)\b/.test(error.message)
}

/**
 * The configs without those that the answer names. Where it names none, or too many were refused
 * one by one, first only those that decide what is kept, then none.
 */
function withoutRefused(
  configs: Configs,
  { answer, refusals }: { readonly answer: string; readonly refusals: number },
): Configs {
  const named = refusedConfigs(answer, configs)
  if (named.length > 0 && refusals < refusedConfigsMax)
    return only(configs, each => !named.includes(each))
  const keeping = only(configs, each => keepingConfigs.some(name => name === each))
  return Object.keys(keeping).length < Object.keys(configs).length ? keeping : {}
}

function only(configs: Configs, keeps: (name: string) => boolean): Configs {
  return Object.fromEntries(Object.entries(configs).filter(([name]) => keeps(name)))
}

function isEmpty(configs: Configs): boolean {
  return Object.keys(configs).length === 0
}

function refusedText(
  topic: string,
  from: { readonly configs: Configs; readonly fewer: Configs; readonly answer: string },
): string {
  const { configs, fewer, answer } = from
  const left = Object.entries(configs).filter(([name]) => !(name in fewer))
  const names = left.map(([name, value]) => `${name}=${value}`).join(', ')
  return `standby topic ${topic} is created without ${names}, which the standby refuses. ${answer}`
}
