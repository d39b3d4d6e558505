// run_challenge.sh as a person runs it: it starts everything, and leaves nothing behind.

import { expect, onTestFinished, test } from 'vitest'
import { createLocalStage, living, pidsIn } from './local-stage.ts'

/**
 * Longer than all waits of the command: each of them ends after two minutes and names the state
 * that was not reached, which a test that times out does not.
 */
const EVERYTHING_MS_MAX = 900_000

test('run_challenge.sh all passes, and stops what it started', {
  timeout: EVERYTHING_MS_MAX,
}, async () => {
  const stage = await createLocalStage()
  onTestFinished(stage.remove)

  const command = stage.run('localstack/run_challenge.sh', ['all'])

  expect(await command.ended, command.output()).toBe(0)
  for (const name of ['test1', 'test2', 'test3']) {
    expect(command.output()).toContain(`${name} PASSED`)
  }
  expect(command.output()).not.toContain('FAIL')
  expect(pidsIn(command.output())).toHaveLength(3)
  expect(living(pidsIn(command.output()))).toEqual([])
})

test('run_challenge.sh refuses an unknown name with exit code 2 and lists the accepted ones', async () => {
  const stage = await createLocalStage()
  onTestFinished(stage.remove)

  const command = stage.run('localstack/run_challenge.sh', ['test4'])

  expect(await command.ended).toBe(2)
  expect(command.output()).toContain('test1, test2, test3, status, logs, all')
})
