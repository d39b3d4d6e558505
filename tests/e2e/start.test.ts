// `npm start` as a newcomer uses it: without a stack, which it starts and stops; on a running
// stack, which it leaves running; ended by Ctrl-C; and when the functions die.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { isPortOpen } from '../../localstack/processes/ports.ts'
import { createLocalStage, type LocalStage, living, pidsIn } from './local-stage.ts'

const allArrived = /All 1000 events are on the standby, 1:1/

describe('where nothing runs', () => {
  test('npm start -- --exit-when-caught-up exits 0 and leaves nothing running', async () => {
    const stage = await createLocalStage()
    onTestFinished(stage.remove)

    const command = stage.run('npm', ['start', '--', '--exit-when-caught-up'])

    expect({ code: await command.ended, output: command.output() }).toMatchObject({
      code: 0,
      output: expect.stringMatching(allArrived),
    })
    const pids = pidsIn(command.output())
    // Two brokers, the table and the functions.
    expect(pids).toHaveLength(4)
    expect(living(pids)).toEqual([])
    expect(await Promise.all(stage.ports.map(isPortOpen))).toEqual([false, false, false, false])
  })
})

describe('on a stack that runs', () => {
  let stage: LocalStage
  let stackPids: readonly number[]
  beforeAll(async () => {
    stage = await createLocalStage()
    const up = stage.stack(['up'])
    expect(await up.ended, up.output()).toBe(0)
    stackPids = pidsIn(up.output())
    expect(stackPids).toHaveLength(3)
  })
  afterAll(() => stage?.remove())

  // One test, because each start of the functions takes ten seconds of a processor.
  test('npm start refuses a second one on its stack, and goes on until Ctrl-C, which stops the functions and leaves the stack', async () => {
    const first = stage.start([])
    await first.says(allArrived)
    await first.says(/gapless -- status/)
    const second = stage.run('env', [
      'GAPLESS_LAMBDA_PORT=',
      process.execPath,
      'localstack/start.ts',
    ])

    expect(await second.ended).toBe(1)
    expect(second.output().trim()).toMatch(
      new RegExp(
        `^npm start runs already on the stack in \\S+/stack \\(pid ${first.pid}\\)\\. Stop it with Ctrl-C, or give this one ` +
          'a stack of its own: GAPLESS_STACK_DIR, GAPLESS_PRIMARY_PORT, GAPLESS_STANDBY_PORT and GAPLESS_AWS_PORT\\.$',
      ),
    )
    first.signal('SIGINT')
    expect(await first.ended, first.output()).toBe(0)
    expect(first.output()).toMatch(/Stopped the functions \(pid \d+\)/)
    expect(living(pidsIn(first.output()))).toEqual([])
    expect(living(stackPids)).toEqual(stackPids)
  })

  test('npm start shows a continuous flow arrive, although its worker does not end', async () => {
    const config = join(stage.directory, 'continuous.yml')
    const text = await readFile(join(import.meta.dirname, '../../gapless.yml'), 'utf8')
    await writeFile(config, text.replace('mode: batch', 'mode: continuous'))

    const command = stage.run('env', [
      `GAPLESS_CONFIG=${config}`,
      ...[process.execPath, 'localstack/start.ts', '--exit-when-caught-up'],
    ])

    expect({ code: await command.ended, output: command.output() }).toMatchObject({
      code: 0,
      output: expect.stringMatching(allArrived),
    })
  })

  test('npm start ends with one line when the functions die, and leaves the stack', async () => {
    const command = stage.start([])
    await command.says(allArrived)
    const [, pid] = await command.says(/The functions: .* \(pid (\d+)\)/)
    process.kill(Number(pid), 'SIGKILL')

    expect(await command.ended).toBe(1)
    expect(command.output()).toContain(`The functions (serverless-offline, pid ${pid}) have died.`)
    expect(living(stackPids)).toEqual(stackPids)
  })

  test('npm start names a wrong environment variable before anything is started', async () => {
    const command = stage.run('env', [
      'GAPLESS_LAMBDA_PORT=none',
      process.execPath,
      'localstack/start.ts',
    ])

    expect(await command.ended).toBe(1)
    expect(command.output().trim()).toBe(
      'GAPLESS_LAMBDA_PORT is "none", but must be a port between 1 and 65535. ' +
        'Correct it, or unset it for 3002 or a free one.',
    )
  })
})
