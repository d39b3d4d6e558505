// The program behind run_challenge.sh: runs the scenarios against the local stack, and shows the
// state and the logs that a run left. Starts the stack if it does not run, and stops what it
// started.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Argument, Command } from 'commander'
import { describeFailure, describeStack } from '../../cli/failure.ts'
import { projectDirectory, readSettings } from '../engine/stack-settings.ts'
import { createStackEnvironment, functionsLogFile, readLogTail } from '../offline.ts'
import { runCommand } from '../processes/os-process.ts'
import { StackError } from '../processes/stack-error.ts'
import { runSession, type Session } from '../session.ts'
import { status } from '../stack.ts'
import { createMeasured, scenarios } from './scenarios.ts'
import { challengeDirectory, lastConfigFile, openWorld } from './world.ts'

type TestName = keyof typeof scenarios

const tests: readonly TestName[] = ['test1', 'test2', 'test3']
const choices = [...tests, 'status', 'logs', 'all'] as const
const wrongUsageExitCode = 2
/** 128 + SIGINT, as shells count it. */
const interruptedExitCode = 130

/** A socket that a client library left open must not keep the process alive for longer. */
const lingerMs = 2_000

const say = (line: string) => console.log(line)

async function runTests(names: readonly TestName[]): Promise<number> {
  const end = await runSession(say, session => challenge(session, names))
  return end.kind === 'completed' ? end.exitCode : interruptedExitCode
}

async function challenge(session: Session, names: readonly TestName[]): Promise<number> {
  const started = await session.startStack({ topics: false })
  say(
    started.length === 0
      ? 'The stack is up already, and will be left running.'
      : 'The stack was started for this run and stops with it; "npm run stack -- up" starts one that stays.',
  )
  const world = await openWorld(session)
  const failed: TestName[] = []
  try {
    say(`Flow ${world.flow}; the functions' log: ${world.logFile}`)
    for (const name of names) {
      const measured = createMeasured(say)
      const startedMs = performance.now()
      say(`\n${name} ${scenarios[name].title}`)
      await scenarios[name].run(world, measured)
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
      const failures = measured.failures()
      if (failures > 0) failed.push(name)
      const verdict = failures === 0 ? 'PASSED' : `FAILED (${failures} checks failed)`
      say(`${name} ${verdict} in ${seconds} s`)
    }
  } finally {
    await world.close()
  }
  say(
    failed.length === 0
      ? `\nAll of ${names.join(', ')} passed.`
      : `\nFailed: ${failed.join(', ')}. The functions' log: ${world.logFile}`,
  )
  return failed.length === 0 ? 0 : 1
}

/** Shows the stack, and checkpoints and incidents of the configured flows and of the last run. */
async function showStatus(): Promise<number> {
  const settings = readSettings()
  await runScript('localstack/stack.ts', ['status'], process.env)
  if ((await status()).some(row => !row.answers)) {
    say('Checkpoints and incidents can be read only while all services answer: npm run stack -- up')
    return 1
  }
  const env = createStackEnvironment(settings)
  const last = lastConfigFile(settings)
  const configs: [string, NodeJS.ProcessEnv][] = [['The configured flows', env]]
  if (existsSync(last)) configs.push(['The last challenge', { ...env, GAPLESS_CONFIG: last }])
  for (const [title, configured] of configs) {
    say(`\n${title}`)
    await runScript('cli/gapless.ts', ['status'], configured)
    await runScript('cli/gapless.ts', ['incidents'], configured)
  }
  return 0
}

async function showLogs(): Promise<number> {
  const settings = readSettings()
  const functions = functionsLogFile(settings)
  if (existsSync(functions)) {
    say(`==> ${functions} <==`)
    for (const line of await readLogTail(functions)) say(line)
  }
  say(`The functions' logs of challenges: ${join(challengeDirectory(settings), '*.log')}\n`)
  return runScript('localstack/stack.ts', ['logs'], process.env)
}

/** Runs a script with this process's outputs. @returns its exit code. */
async function runScript(script: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { code } = await runCommand({
    command: process.execPath,
    args: [join(projectDirectory, script), ...args],
    cwd: projectDirectory,
    env,
    visible: true,
  })
  return typeof code === 'number' ? code : 1
}

async function run(what: (typeof choices)[number]): Promise<number> {
  try {
    if (what === 'status') return await showStatus()
    if (what === 'logs') return await showLogs()
    return await runTests(what === 'all' ? tests : [what])
  } catch (error) {
    const lines = error instanceof StackError ? [error.message] : describeFailure(error).lines
    for (const line of [...lines, ...describeStack(error, process.env.GAPLESS_DEBUG)]) {
      console.error(line)
    }
    return 1
  }
}

const program = new Command('localstack/run_challenge.sh')
  .description(
    'Runs the three classic scenarios against two real Kafka clusters and the real functions, ' +
      'and prints each check with its expected and found value; exit code 1 when a check fails. ' +
      '"status" and "logs" show the state that a run left in a stack that still runs.',
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : wrongUsageExitCode))
  .addArgument(new Argument('[what]', 'what to run').choices(choices).default('all'))
  .action(async (what: (typeof choices)[number]) => {
    process.exitCode = await run(what)
    setTimeout(() => process.exit(), lingerMs).unref()
  })
await program.parseAsync()
