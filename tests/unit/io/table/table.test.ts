import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { tableShape, timeToLive } from '../../../../lib/io/table/table.ts'

async function readResource() {
  const text = await readFile(new URL('../../../../infra/table.yml', import.meta.url), 'utf8')
  return parse(text).Resources.CheckpointTable
}

describe('infra/table.yml', () => {
  test('the table of the stack has the keys and the billing of the one that gapless init creates', async () => {
    const { KeySchema, AttributeDefinitions, BillingMode } = (await readResource()).Properties
    expect({ KeySchema, AttributeDefinitions, BillingMode }).toEqual(tableShape)
  })

  test('the table of the stack outlives it, can be restored to a point in time, and lets ended incidents expire', async () => {
    expect(await readResource()).toMatchObject({
      Type: 'AWS::DynamoDB::Table',
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        DeletionProtectionEnabled: true,
        TimeToLiveSpecification: timeToLive,
      },
    })
  })

  test('the table of the stack has the name that the functions are given', async () => {
    expect((await readResource()).Properties.TableName).toBe(
      '$' + '{self:provider.environment.GAPLESS_TABLE}',
    )
  })
})
