// Owns the import of a configuration of MirrorMaker 2: the text of a gapless.yml that gapless
// accepts, and the account of every property. Does not own reading files (io/mirror-maker), nor how
// the account is shown (cli/import/import-text.ts).

import { parseConfig } from '../config/config.ts'
import { clusterSettings, draftCluster } from './cluster-draft.ts'
import { draftFlow } from './flow-draft.ts'
import { renderYml, wrapped } from './gapless-yml.ts'
import { decide, decisionLines, type Ledger, openLedger, type SecretNeed } from './ledger.ts'
import {
  listOf,
  type Mirror,
  MirrorError,
  type MirrorFlow,
  type Placed,
  type Settings,
} from './mirror.ts'
import type { Fate } from './properties/fate.ts'
import { fateOfValue } from './properties/property-map.ts'

/** The JSON contract of `gapless import` (docs/CLI.md). */
export type ImportReport = {
  readonly form: Mirror['form']
  readonly flows: readonly { readonly name: string; readonly from: string; readonly to: string }[]
  readonly properties: readonly PropertyReport[]
  readonly secrets: readonly SecretNeed[]
  /** What has to be decided before the first run. */
  readonly decisions: readonly string[]
  /** The text of gapless.yml. */
  readonly config: string
}

export type PropertyReport = {
  readonly property: string
  readonly origin: string
  readonly outcome: Fate['kind']
  /** The key of gapless.yml; null: none. */
  readonly key: string | null
  readonly reason: string | null
}

const HEAD_COLUMNS = 98

/** @param from the names of the files, for the comment at the top */
export function importMirror(mirror: Mirror, from: readonly string[]): ImportReport {
  const ledger = openLedger()
  const clusters = draftClusters(mirror, ledger)
  const names = flowNames(mirror.flows)
  const flows = mirror.flows.map((each, index) =>
    draftFlow(each, index, names[index] ?? '', ledger),
  )
  const document = { clusters, flows }
  refuseUnaccepted(document, from)
  const secrets = distinct(ledger.secrets)
  const decisions = decisionLines(ledger)
  const head = headLines(mirror.form, from, { secrets, decisions })
  return {
    form: mirror.form,
    flows: mirror.flows.map(({ source, target }, index) => ({
      name: names[index] ?? '',
      from: source,
      to: target,
    })),
    properties: mirror.properties.map(reportProperty),
    secrets,
    decisions,
    config: renderYml(document, { head, comments: ledger.comments }),
  }
}

function draftClusters({ flows, accesses }: Mirror, ledger: Ledger): Record<string, unknown> {
  const sides = flows.flatMap(({ source, target, settings }) => [
    { alias: source, settings: clusterSettings(settings, 'source') },
    { alias: target, settings: clusterSettings(settings, 'target') },
  ])
  const known = new Map<string, Settings>()
  for (const { alias, settings: found } of sides) {
    known.set(alias, merged(alias, known.get(alias) ?? new Map(), found, ledger))
  }
  return Object.fromEntries(
    [...known].map(([alias, settings]) => [
      alias,
      draftCluster(alias, settings, accesses.get(alias), ledger),
    ]),
  )
}

/** Several connectors describe a cluster: what one leaves out, another one may have. */
function merged(alias: string, known: Settings, found: Settings, ledger: Ledger): Settings {
  for (const [key, property] of found) {
    const earlier = known.get(key)
    if (earlier === undefined || listOf(earlier.value).join() === listOf(property.value).join())
      continue
    if (key === 'bootstrap.servers') {
      throw new MirrorError(
        `${property.origin}: cluster ${alias} has other ${key} than in ${earlier.origin}; give each cluster an alias of its own, and import again`,
      )
    }
    decide(
      ledger,
      `cluster ${alias}`,
      `${key} differs in ${property.origin} and ${earlier.origin}, and gapless has one identity for a cluster; that of ${earlier.origin} was taken`,
    )
  }
  return new Map([...found, ...known])
}

/** `A-to-B`; further connectors of the same pair are numbered. */
function flowNames(flows: readonly MirrorFlow[]): string[] {
  const names = flows.map(({ source, target }) => `${source}-to-${target}`)
  return names.map((name, index) => {
    const before = names.slice(0, index).filter(each => each === name).length
    return before === 0 ? name : `${name}-${before + 1}`
  })
}

/** What gapless would not accept is no result: MirrorMaker 2 takes rings and any address. */
function refuseUnaccepted(document: unknown, from: readonly string[]): void {
  const parsed = parseConfig(withoutVariables(document))
  if (parsed.kind === 'valid') return
  const [problem] = parsed.problems
  const path = problem?.path
    .map(part => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
  throw new MirrorError(
    `${from.join(', ')}: gapless would not accept ${path?.slice(1)}; accepted: ${problem?.accepted}`,
  )
}

/** A variable may hold any text; here the one that is accepted everywhere. */
function withoutVariables(value: unknown): unknown {
  if (typeof value === 'string') {
    return /^\$\{\w+\}$/.test(value) ? 'variable:9092' : value.replace(/(?<!\$)\$\{\w+\}/g, '1')
  }
  if (Array.isArray(value)) return value.map(withoutVariables)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, withoutVariables(each)]),
  )
}

function distinct(secrets: readonly SecretNeed[]): SecretNeed[] {
  const seen = new Map(secrets.map(each => [`${each.secret} ${each.key}`, each]))
  return [...seen.values()]
}

function reportProperty({ property, key, unread }: Placed): PropertyReport {
  const { name, origin } = property
  const fate: Fate =
    unread === null ? fateOfValue(key, property.value) : { kind: 'not-read', why: unread }
  return {
    property: name,
    origin,
    outcome: fate.kind,
    key: fate.kind === 'mapped' ? fate.to : null,
    reason: fate.why === '' ? null : fate.why,
  }
}

function headLines(
  form: Mirror['form'],
  from: readonly string[],
  {
    secrets,
    decisions,
  }: { readonly secrets: readonly SecretNeed[]; readonly decisions: readonly string[] },
): string[] {
  const bullets = (texts: readonly string[]) =>
    texts.flatMap(text =>
      wrapped(text, HEAD_COLUMNS - 4).map((line, index) =>
        index === 0 ? `- ${line}` : `  ${line}`,
      ),
    )
  const holding = [...Map.groupBy(secrets, each => each.secret)].flatMap(([secret, each]) => [
    ...bullets([
      `${secret}: ${each.map(({ key, from: place }) => `${key} (${place})`).join('; ')}`,
    ]),
  ])
  return [
    ...wrapped(
      `Written by \`gapless import ${from.join(' ')}\` from a configuration of MirrorMaker 2 (${form}).`,
      HEAD_COLUMNS,
    ),
    ...wrapped(
      'docs/MIRROR-MAKER.md says what differs and how to go on, docs/CONFIG.md has every key.',
      HEAD_COLUMNS,
    ),
    ...wrapped(
      'Stop MirrorMaker 2 before the first run. Standby topics that it filled are not adopted: see there.',
      HEAD_COLUMNS,
    ),
    ...(decisions.length === 0 ? [] : ['', 'Decide before the first run:', ...bullets(decisions)]),
    ...(secrets.length === 0
      ? []
      : ['', 'Put these secrets into AWS Secrets Manager, each as one JSON object:', ...holding]),
    '',
  ]
}
