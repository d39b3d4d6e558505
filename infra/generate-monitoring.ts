// Writes the alarms and the dashboard of infra/: `npm run monitoring`. A unit test fails while
// one of the files is not up to date.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { alarmResources, type Resource } from './alarms.ts'
import { dashboardResources } from './dashboard.ts'
import { functionAlarmResources } from './function-alarms.ts'

const stage = `\${sls:stage}`

/** The text of each generated file of this folder. */
export const monitoringFiles: Readonly<Record<string, string>> = {
  'alarms.yml': document('infra/alarms.ts', alarmResources({ stage })),
  'function-alarms.yml': document('infra/function-alarms.ts', functionAlarmResources({ stage })),
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
