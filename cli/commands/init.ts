// `gapless init`: creates the table of checkpoints and incidents where no deployed stack did.

import type { Command } from 'commander'
import type { CommandLine } from '../command-line.ts'
import { exitCode } from '../exit-code.ts'

export function addInitCommand(program: Command, cli: CommandLine): void {
  program
    .command('init')
    .summary('create the DynamoDB table if it does not exist')
    .description(
      'Creates the DynamoDB table GAPLESS_TABLE (default: gapless) if it does not exist. For local ' +
        'endpoints and drills: in AWS the table is part of the deployed stack. Safe to repeat.',
    )
    .action(
      cli.action(async context => {
        const { createTable } = await import('../../lib/io/table/table.ts')
        const { describeEndpoint } = await import('../../lib/io/table/dynamodb-client.ts')
        const client = await context.dynamoDb()
        const outcome = await createTable(client, context.table)
        const place = `at ${await describeEndpoint(client)}`
        context.print(
          outcome === 'created'
            ? `Created table ${context.table} ${place}.`
            : `Table ${context.table} already exists ${place}.`,
        )
        return exitCode.ok
      }),
    )
}
