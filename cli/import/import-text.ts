// Owns how an import is shown to people: what has no key in gapless.yml, which secrets to put in
// place, what to decide.

import type { ImportReport, PropertyReport } from '../../lib/core/mirror-maker/import.ts'

const outcomes = {
  'no-counterpart': 'none',
  'not-read': 'not read',
  'built-in': 'built in',
} as const
type Outcome = keyof typeof outcomes

export async function renderImport(report: ImportReport): Promise<string> {
  const { renderTable } = await import('../terminal/table.ts')
  const { flows, properties, secrets, decisions } = report
  const isLeft = (each: PropertyReport): each is PropertyReport & { outcome: Outcome } =>
    each.outcome !== 'mapped'
  const order = Object.keys(outcomes)
  const left = properties
    .filter(isLeft)
    .toSorted((one, other) => order.indexOf(one.outcome) - order.indexOf(other.outcome))
  const names = flows.map(each => each.name).join(', ')
  const sections = [
    `Flows: ${names}. Properties: ${properties.length}, ${left.length} of them without a key in gapless.yml.`,
    ...(left.length === 0
      ? []
      : [
          renderTable<PropertyReport & { outcome: Outcome }>(
            [
              { head: 'PROPERTY', cell: each => each.property },
              { head: 'FOUND', cell: each => each.origin },
              { head: 'IN GAPLESS', cell: each => outcomes[each.outcome] },
              { head: 'WHY', cell: each => each.reason },
            ],
            left,
          ),
        ]),
    ...(secrets.length === 0
      ? []
      : [
          renderTable(
            [
              { head: 'SECRET', cell: each => each.secret },
              { head: 'KEY', cell: each => each.key },
              { head: 'VALUE', cell: each => each.from },
              { head: 'COMMAND', cell: each => each.command },
            ],
            secrets,
          ),
          'To put them in place: aws secretsmanager create-secret --name SECRET --secret-string file://secret.json',
        ]),
    ...(decisions.length === 0
      ? []
      : [['Decide before the first run:', ...decisions.map(each => `- ${each}`)].join('\n')]),
  ]
  return sections.join('\n\n')
}
