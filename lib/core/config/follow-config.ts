// Owns the keys of a flow about what follows the source besides records: consumer groups, topic
// configs, deletions, ACLs, heartbeats; and the form of a selector. Does not own what is done about
// them (core/sync).

import { z } from 'zod'
import { about, object, text } from './cluster-config.ts'
import { flowDefaults, syncDefaults } from './defaults.ts'
import { patternProblem } from './topic-pattern.ts'
import { parseSelector } from './topic-selection.ts'

export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, values.join(' | '))

/** A name, or a pattern between slashes. `name` is the form of a name, for the error. */
export const selectorOf = (name: string) => {
  const form = `${name}, or a pattern between slashes`
  return text(form).transform((value, context) => {
    const parsed = parseSelector(value)
    if (parsed === null) {
      const problem = patternProblem(value.slice(1, -1))
      const message = problem === null ? form : `${form} ${problem}`
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    }
    return parsed
  })
}

const groups = z.array(selectorOf('a group id'), 'a list of groups')
const configNames = z.array(text('the name of a topic config'), 'a list of topic configs')

/**
 * Configs that never follow the source: they belong to the brokers of a cluster, or copying needs
 * another value than the source may have (docs/STANDBY-TOPICS.md has the reason of each).
 */
const neverFollowed = [
  /^min\.insync\.replicas$/,
  /^compression\./,
  /^message\.timestamp\./,
  /\.replication\.throttled\.replicas$/,
  /placement/,
]

const includedConfigs = z.array(
  text('the name of a topic config').refine(
    config => !neverFollowed.some(each => each.test(config)),
    'a topic config that may follow; min.insync.replicas, throttles, timestamps, compression and placement never do',
  ),
  'a list of topic configs',
)

const sync = object(
  {
    configs: about(
      'When a topic config that travels differs on the standby: `follow` sets it to the value of the source, `report` only tells it, `off` does not look.',
      oneOf('follow', 'report', 'off').default(syncDefaults.configs),
    ),
    includeConfigs: about(
      'Topic configs that follow the source although docs/STANDBY-TOPICS.md says otherwise.',
      includedConfigs.default([...syncDefaults.includeConfigs]),
    ),
    excludeConfigs: about(
      'Topic configs that do not follow the source.',
      configNames.default([...syncDefaults.excludeConfigs]),
    ),
    useDefaults: about(
      'Whose default applies where the source topic does not set a config.',
      oneOf('source', 'standby').default(syncDefaults.useDefaults),
    ),
    deletions: about(
      'When a topic was deleted on the source: `report` keeps its standby topic, `delete` deletes it, too.',
      oneOf('report', 'delete').default(syncDefaults.deletions),
    ),
    acls: about(
      'ACLs of topics: `copy` creates them on the standby without the right to write, `report` only tells them, `off` does not look.',
      oneOf('copy', 'report', 'off').default(syncDefaults.acls),
    ),
    heartbeats: about(
      'Records to the topic `heartbeats` of the source, in the form of MirrorMaker 2.',
      oneOf('mirror-maker', 'off').default(syncDefaults.heartbeats),
    ),
  },
  'what follows the source, see docs/CONFIG.md',
)

/** The keys of a flow. */
export const followKeys = {
  groups: about(
    'The consumer groups whose committed offsets are kept on the standby: group ids, or patterns between slashes.',
    groups.prefault([...flowDefaults.groups]),
  ),
  excludeGroups: about(
    'Consumer groups that `groups` matches and that are left out, in the same form.',
    groups.prefault([...flowDefaults.excludeGroups]),
  ),
  sync: about('What follows the source besides records and groups.', sync.prefault({})),
}
