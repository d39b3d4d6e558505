// Explores the ownership protocol in every order of events that small bounds allow, with the
// production loop; no state is left out. The long form is run.ts.

import { expect, test } from 'vitest'
import { explore } from './explorer.ts'
import { exhaustive } from './scenario.ts'
import { summarize } from './summary.ts'

const STATES_MAX = 1_500_000

for (const [name, bounds] of Object.entries(exhaustive)) {
  test(`every order of events leaves every record once and in order, and raises no incident: ${name}`, async () => {
    const exploration = await explore(bounds, { statesMax: STATES_MAX })
    console.info(summarize(name, bounds, exploration))
    expect(exploration.counterexample).toBeNull()
    expect(exploration.isExhaustive).toBe(true)
    // The exploration proves nothing unless some runs lose their lease and some catch up.
    const endings = [...exploration.endings.keys()].join('; ')
    for (const each of ['lease-lost', 'drained']) expect(endings).toContain(each)
  }, 600_000)
}
