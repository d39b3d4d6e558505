import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// unit: pure code, no processes. integration: real brokers and DynamoDB Local, started by the tests
// on free ports. e2e: the serverless CLI and the newcomer's command. Each file owns what it starts.
//
// simulation: the real loops against simulated clusters, table, clock and deaths, from seeds.
//
// Units and simulation first, on all cores. Then both others together, four files at a time
// whatever the machine: a file starts up to four JVMs, and waits for them more than it computes.
// Projects of one group must have the same number of workers, and the default depends on the
// machine, so the groups differ.
//
// Tests start hundreds of Node processes (the command line, the functions): with Node's compile
// cache a `gapless` command starts with a quarter of the processor time.
const compileCache = {
  NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules', '.cache', 'gapless-compiled'),
}
const withProcesses = {
  maxWorkers: 4,
  hookTimeout: 300_000,
  sequence: { groupOrder: 1 },
  // Brokers and tables do not live long enough for the optimising compiler: without it a broker
  // starts with 3.1 s of processor time instead of 5.5 s.
  env: { ...compileCache, JDK_JAVA_OPTIONS: '-XX:TieredStopAtLevel=1' },
}

export default defineConfig({
  test: {
    // Once for all projects, which share what it starts.
    globalSetup: ['tests/support/worlds/shared-world.ts'],
    env: withProcesses.env,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['tests/unit/**/*.test.ts', 'tests/tidy.test.ts'],
          // One process for many files: a process for each of them spends half of its processor
          // time on loading the same modules. A file that leaves a mark on them fails in a later
          // one: `npx vitest run --project unit --sequence.shuffle.files` finds it.
          isolate: false,
          // A busy machine is slow; a test that hangs is the only one this must end.
          testTimeout: 90_000,
          env: compileCache,
        },
      },
      {
        test: {
          name: 'exploration',
          include: ['tests/exploration/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'simulation',
          include: ['tests/simulation/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['tests/integration/**/*.test.ts'],
          // At a load of 30 on two cores four tests took more than 120 s.
          testTimeout: 300_000,
          ...withProcesses,
        },
      },
      {
        // An older version of Kafka than the pinned one, which the other tests use.
        test: {
          name: 'kafka-3.9',
          include: ['same-offsets', 'broker-version'].map(
            each => `tests/integration/${each}.test.ts`,
          ),
          testTimeout: 300_000,
          ...withProcesses,
          env: { ...withProcesses.env, KAFKA_VERSION: '3.9.1' },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts'],
          testTimeout: 300_000,
          ...withProcesses,
        },
      },
    ],
  },
})
