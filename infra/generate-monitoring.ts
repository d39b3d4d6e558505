// Writes infra/alarms.yml and infra/dashboard.yml: `node infra/generate-monitoring.ts`. A unit test
// fails while they are not up to date.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { alarmResources, type Resource } from './alarms.ts'
import { dashboardResources } from './dashboard.ts'

const stage = `\${sls:stage}`

/** What is to stand in which file of this folder. */
export const monitoringFiles: Readonly<Record<string, string>> = {
  'alarms.yml': document('infra/alarms.ts', alarmResources({ stage })),
  'dashboard.yml': document('infra/dashboard.ts', dashboardResources({ stage })),
}

function document(from: string, resources: Record<string, Resource>): string {
  const head = `# Generated from ${from} by node infra/generate-monitoring.ts. Change it there.\n`
  return (
    head + stringify({ Resources: resources }, { lineWidth: 120, aliasDuplicateObjects: false })
  )
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(monitoringFiles)) {
    writeFileSync(join(import.meta.dirname, name), text)
  }
}
