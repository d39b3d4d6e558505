// The CloudFormation template that would be deployed, made from serverless.yml by the real
// serverless command line on a machine without credentials and without a network.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { listFunctions } from '../../infra/bundle.ts'
import { aclSets } from '../../lib/core/row/acl-row.ts'
import { stateAttributes } from '../../lib/core/row/checkpoint.ts'
import { groupAttributes } from '../../lib/core/row/group-row.ts'
import { incidentChange } from '../../lib/core/row/incident-row.ts'
import { reservedAttributes } from '../../lib/core/row/worker-row.ts'
import { replicating, truncation } from '../support/contracts/store-examples.ts'
import { root } from '../support/source-tree.ts'
import {
  actionsOf,
  exampleImage,
  lintTemplates,
  packageStage,
  type Resource,
  type Statement,
  statementsOf,
  type Template,
} from '../support/stack-template.ts'

const exampleKey = 'arn:aws:kms:eu-central-1:123456789012:key/0123abcd-0123-0123-0123-0123456789ab'
const exampleParameter = 'arn:aws:ssm:eu-central-1:123456789012:parameter/gapless/config'

let prod: Template
let local: Template
let closed: Template

beforeAll(async () => {
  // At the same time, because several people may package at once: see the first test.
  ;[prod, local, closed] = await Promise.all([
    packageStage('prod', { image: exampleImage }),
    packageStage('local'),
    packageStage('closed', {
      image: exampleImage,
      network: 'private',
      subnetIds: 'subnet-0123456789abcdef0,subnet-0123456789abcdef1',
      securityGroupIds: 'sg-0123456789abcdef0',
      replicateConcurrency: '7',
      logRetentionDays: '30',
      encryption: 'customer',
      kmsKeyArn: exampleKey,
      configAccess: 'ssm',
      configArn: exampleParameter,
    }),
  ])
})
afterAll(() => {
  for (const each of [prod, local, closed]) each?.remove()
})

test('stages that are packaged at the same time have each a template of their own', () => {
  const tables = [prod, local, closed].map(
    each => each.resources.CheckpointTable?.Properties.TableName,
  )
  expect(tables).toEqual(['gapless-prod', 'gapless', 'gapless-closed'])
})

test('cfn-lint finds nothing in the template of any stage', async () => {
  expect(await lintTemplates([prod, local, closed].map(each => each.file))).toEqual([])
})

test('cfn-lint finds a wrong value in a damaged template', async () => {
  const damaged = prod.file.replace(/json$/, 'damaged.json')
  const text = readFileSync(prod.file, 'utf8')
  writeFileSync(damaged, text.replace('"RecursiveLoop": "Allow"', '"RecursiveLoop": "Perhaps"'))
  expect((await lintTemplates([damaged])).join()).toContain('Perhaps')
})

test('every door of functions/ is deployed: with its own role, as the same image with its own command', async () => {
  const doors = readdirSync(join(root, 'functions'))
    .filter(file => readFileSync(join(root, 'functions', file), 'utf8').includes('const handler ='))
    .map(file => file.replace(/\.ts$/, ''))
  expect((await listFunctions()).toSorted()).toEqual(doors.toSorted())
  const functions = prod.ofType('AWS::Lambda::Function')
  expect(functions.map(([, { Properties }]) => Properties.ImageConfig)).toEqual(
    (await listFunctions()).map(name => ({ Command: [`${name}.handler`] })),
  )
  for (const [, { Properties }] of functions) {
    expect(Properties).toMatchObject({
      PackageType: 'Image',
      Code: { ImageUri: exampleImage },
      Architectures: ['arm64'],
    })
  }
  const roles = functions.map(([, { Properties }]) => JSON.stringify(Properties.Role))
  expect(new Set(roles).size).toBe(functions.length)
})

const queue = { 'Fn::GetAtt': ['FailuresQueue', 'Arn'] }
const bus = { 'Fn::GetAtt': ['FailuresBus', 'Arn'] }

test('a failed invocation is not retried, waits a minute at most, and its record goes to the queue, that of a worker by the event bus', () => {
  const functions = prod.ofType('AWS::Lambda::Function')
  const settings = prod.ofType('AWS::Lambda::EventInvokeConfig')
  expect(settings.map(([, { Properties }]) => Properties.FunctionName)).toEqual(
    functions.map(([name]) => ({ Ref: name })),
  )
  for (const [, { Properties }] of settings) {
    const isWorker = JSON.stringify(Properties.FunctionName).includes('Replicate')
    expect(Properties).toMatchObject({
      Qualifier: '$LATEST',
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 60,
      DestinationConfig: { OnFailure: { Destination: isWorker ? bus : queue } },
    })
  }
  for (const [, { Properties }] of prod.ofType('AWS::Events::Rule')) {
    if (Properties.EventBusName !== undefined) continue
    expect(Properties.Targets).toEqual([
      expect.objectContaining({
        RetryPolicy: expect.objectContaining({ MaximumEventAgeInSeconds: 60 }),
        DeadLetterConfig: { Arn: queue },
      }),
    ])
  }
  expect(prod.resources.FailuresQueue?.Properties).toMatchObject({
    MessageRetentionPeriod: 14 * 24 * 60 * 60,
    SqsManagedSseEnabled: true,
  })
})

test('the record of a failed worker goes to people and to plan, each as Lambda made it', () => {
  const rule = prod.resources.FailedWorkerRule?.Properties
  expect(rule?.EventBusName).toEqual({ Ref: 'FailuresBus' })
  expect(rule?.EventPattern).toEqual({
    source: ['lambda'],
    'detail-type': ['Lambda Function Invocation Result - Failure'],
  })
  expect(rule?.Targets).toEqual([
    // People get every record, however late: an entry that is lost is a failure that nobody reads.
    {
      Id: 'people',
      Arn: queue,
      InputPath: '$.detail',
      RetryPolicy: { MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: 24 * 60 * 60 },
    },
    // After a minute the schedule has done what a notice asks for.
    {
      Id: 'plan',
      Arn: { 'Fn::GetAtt': ['PlanLambdaFunction', 'Arn'] },
      InputPath: '$.detail',
      RetryPolicy: { MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 60 },
      DeadLetterConfig: { Arn: queue },
    },
  ])
})

test('the rule of the event bus may invoke plan and write to the queue, and no failure of plan reaches plan', () => {
  const arn = { 'Fn::GetAtt': ['FailedWorkerRule', 'Arn'] }
  expect(prod.resources.FailedWorkerNotice?.Properties).toEqual({
    FunctionName: { 'Fn::GetAtt': ['PlanLambdaFunction', 'Arn'] },
    Action: 'lambda:InvokeFunction',
    Principal: 'events.amazonaws.com',
    SourceArn: arn,
  })
  const policy = prod.resources.FailuresQueuePolicy?.Properties.PolicyDocument
  const { Statement } = policy as { readonly Statement: readonly Statement[] }
  const [writing] = Statement.filter(each => each.Effect === 'Allow')
  expect(writing?.Condition).toEqual({ ArnEquals: { 'aws:SourceArn': expect.any(Array) } })
  expect(Object.values(writing?.Condition?.ArnEquals ?? {})[0]).toContainEqual(arn)
  const mayPut = prod
    .ofType('AWS::IAM::Role')
    .filter(([, role]) => actionsOf(statementsOf(role)).includes('events:PutEvents'))
  expect(mayPut.map(([name]) => name)).toEqual(['ReplicateRole'])
})

test('plan has room for the tick and for notices that come meanwhile', () => {
  expect(
    prod.resources.PlanLambdaFunction?.Properties.ReservedConcurrentExecutions,
  ).toBeGreaterThan(1)
})

test('every function has a reserved concurrency, a time-out, and a log that is not kept for ever', () => {
  for (const [, { Properties }] of prod.ofType('AWS::Lambda::Function')) {
    expect(Properties.ReservedConcurrentExecutions).toBeGreaterThan(0)
    expect(Properties.Timeout).toBeLessThanOrEqual(900)
    const log = prod
      .ofType('AWS::Logs::LogGroup')
      .find(
        ([, group]) => group.Properties.LogGroupName === `/aws/lambda/${Properties.FunctionName}`,
      )
    expect(log?.[1].Properties.RetentionInDays).toBe(90)
  }
})

test('a worker that invokes the next one, or plan for a peer that died, is no runaway loop', () => {
  for (const name of ['ReplicateLambdaFunction', 'PlanLambdaFunction']) {
    expect(prod.resources[name]?.Properties.RecursiveLoop, name).toBe('Allow')
  }
})

test('an invocation of workers that runs away is capped, and an alarm sees it', () => {
  expect(prod.resources.ReplicateLambdaFunction?.Properties).toMatchObject({
    ReservedConcurrentExecutions: 20,
  })
  expect(prod.resources.ReplicateInvocationsAlarm?.Properties).toMatchObject({
    Namespace: 'AWS/Lambda',
    MetricName: 'Invocations',
    Threshold: 20,
  })
})

test('every function has alarms on its errors, throttles and time-outs, and the queue has one', () => {
  const alarms = prod.ofType('AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties)
  const text = JSON.stringify(alarms)
  for (const [name, { Properties }] of prod.ofType('AWS::Lambda::Function')) {
    const about = alarms.filter(each => JSON.stringify(each).includes(`{"Ref":"${name}"}`))
    const metrics = about.map(each => JSON.stringify(each).match(/"MetricName":"(\w+)"/)?.[1])
    expect(metrics).toEqual(expect.arrayContaining(['Errors', 'Throttles', 'Duration']))
    expect(text).toContain(`longest / (10 * ${Properties.Timeout})`)
  }
  expect(prod.resources.FailuresQueueAlarm?.Properties).toMatchObject({
    Namespace: 'AWS/SQS',
    Dimensions: [{ Name: 'QueueName', Value: { 'Fn::GetAtt': ['FailuresQueue', 'QueueName'] } }],
    AlarmActions: [{ Ref: 'AlertTopic' }],
  })
})

test('the queue of failures and the alert topic refuse whoever does not use TLS', () => {
  for (const name of ['FailuresQueuePolicy', 'AlertTopicPolicy']) {
    const refusal = expect.objectContaining({
      Effect: 'Deny',
      Principal: '*',
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    })
    expect(prod.resources[name]?.Properties, name).toMatchObject({
      PolicyDocument: { Statement: expect.arrayContaining([refusal]) },
    })
  }
})

test('the table outlives the stack', () => {
  expect(prod.resources.CheckpointTable).toMatchObject({
    DeletionPolicy: 'Retain',
    UpdateReplacePolicy: 'Retain',
    Properties: {
      TableName: 'gapless-prod',
      DeletionProtectionEnabled: true,
      TimeToLiveSpecification: { AttributeName: 'expiresAtS', Enabled: true },
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      SSESpecification: { SSEEnabled: true },
    },
  })
})

describe('what functions may do', () => {
  const rolesOf = (template: Template) => template.ofType('AWS::IAM::Role')

  test('every statement of a role allows named actions on named resources', () => {
    for (const [name, role] of rolesOf(prod)) {
      for (const statement of statementsOf(role)) {
        expect(statement.Effect, name).toBe('Allow')
        expect(actionsOf([statement]).join(), name).not.toContain('*')
        expect(JSON.stringify(statement.Resource), name).not.toMatch(/"\*"|:\*"|\/\*"/)
      }
      expect(role.Properties.ManagedPolicyArns, name).toEqual([])
    }
  })

  test('every function writes to its own log only', () => {
    for (const [, { Properties }] of prod.ofType('AWS::Lambda::Function')) {
      const role = roleOf(prod, Properties)
      const log = statementsOf(role).filter(each => actionsOf([each]).join().includes('logs:'))
      const group = prod
        .ofType('AWS::Logs::LogGroup')
        .find(
          ([, each]) => each.Properties.LogGroupName === `/aws/lambda/${Properties.FunctionName}`,
        )
      expect(log.map(each => each.Resource)).toEqual([{ 'Fn::GetAtt': [group?.[0], 'Arn'] }])
    }
  })

  test('the role of a function can be given to that function of this account, and to nothing else', () => {
    for (const [, { Properties }] of prod.ofType('AWS::Lambda::Function')) {
      const { Statement } = roleOf(prod, Properties).Properties.AssumeRolePolicyDocument as {
        Statement: unknown
      }
      const arn = `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function`
      expect(Statement).toEqual([
        {
          Effect: 'Allow',
          Principal: { Service: 'lambda.amazonaws.com' },
          Action: 'sts:AssumeRole',
          Condition: {
            StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } },
            ArnEquals: {
              'aws:SourceArn': { 'Fn::Sub': `${arn}:${Properties.FunctionName}` },
            },
          },
        },
      ])
    }
  })

  test('plan and watch may write the attributes of an incident, plan those of a worker, sync those of groups and ACLs, and none any of a checkpoint', () => {
    const { set, setIfAbsent, remove } = incidentChange(truncation())
    const incident = [...Object.keys({ ...set, ...setIfAbsent }), ...remove, 'told', 'expiresAtS']
    const worker = [
      ...Object.keys(reservedAttributes({ nowMs: 1, untilMs: 2 })),
      ...['run', 'assigned', 'successor', 'endedAtMs', 'endedBy', 'version'],
    ]
    const group = Object.keys(
      groupAttributes({ version: 1, writtenAtMs: 1, text: '', expiresAtMs: 1 }),
    )
    const synced = [...group, ...aclSets, 'aclWrittenAtMs']
    const allowed = {
      PlanRole: [incident, worker],
      WatchRole: [incident],
      SyncRole: [incident, synced],
    }
    const deletion = [
      'dynamodb:DeleteItem',
      { 'dynamodb:EnclosingOperation': 'TransactWriteItems' },
    ]
    for (const [name, rows] of Object.entries(allowed)) {
      const role = prod.resources[name]
      if (role === undefined) throw new Error(`no role ${name}`)
      const writes = statementsOf(role).filter(each =>
        /dynamodb:(?!Query|GetItem)/.test(actionsOf([each]).join()),
      )
      expect(writes.map(each => [each.Action, Object.values(each.Condition ?? {})[0]])).toEqual([
        ...rows.map(() => ['dynamodb:UpdateItem', { 'dynamodb:Attributes': expect.any(Array) }]),
        deletion,
      ])
      for (const [index, attributes] of rows.entries()) {
        const condition = Object.values(writes[index]?.Condition ?? {})[0]
        const named = (condition as Record<string, string[]>)['dynamodb:Attributes']
        expect(named?.toSorted()).toEqual([...new Set(['pk', 'sk', ...attributes])].toSorted())
      }
    }
    const { present, absent } = stateAttributes(replicating)
    const ofLease = ['owner', 'worker', 'fence', 'leaseUntilMs', 'writes', 'updatedAtMs']
    const ofCheckpoints = new Set([...Object.keys(present), ...absent, ...ofLease])
    expect([...incident, ...worker, ...synced].filter(each => ofCheckpoints.has(each))).toEqual([])
  })

  test('whatever plan, watch and sync write, every attribute that they name must be allowed, and no other one comes back', () => {
    const updates = ['PlanRole', 'WatchRole', 'SyncRole'].flatMap(name =>
      statementsOf(prod.resources[name] as Resource).filter(each =>
        /dynamodb:(UpdateItem|PutItem)/.test(actionsOf([each]).join()),
      ),
    )
    expect(updates.length).toBeGreaterThanOrEqual(3)
    for (const { Condition } of updates) {
      // With ForAnyValue one allowed attribute would do, and ALL_OLD and ALL_NEW name no attribute.
      expect(Condition).toEqual({
        'ForAllValues:StringEquals': { 'dynamodb:Attributes': expect.any(Array) },
        StringEqualsIfExists: { 'dynamodb:ReturnValues': ['NONE', 'UPDATED_OLD', 'UPDATED_NEW'] },
      })
    }
  })

  test('no function may create, delete or scan a table', () => {
    const tableActions = rolesOf(prod)
      .flatMap(([, role]) => actionsOf(statementsOf(role)))
      .filter(action => action.startsWith('dynamodb:'))
    expect([...new Set(tableActions)].toSorted()).toEqual([
      'dynamodb:ConditionCheckItem',
      'dynamodb:DeleteItem',
      'dynamodb:GetItem',
      'dynamodb:Query',
      'dynamodb:UpdateItem',
    ])
  })
})

describe('the parameters of a stage', () => {
  test('private clusters: every function is in the subnets, and may attach to them', () => {
    for (const [, { Properties }] of closed.ofType('AWS::Lambda::Function')) {
      expect(Properties.VpcConfig).toEqual({
        SubnetIds: { 'Fn::Split': [',', 'subnet-0123456789abcdef0,subnet-0123456789abcdef1'] },
        SecurityGroupIds: { 'Fn::Split': [',', 'sg-0123456789abcdef0'] },
      })
      expect(JSON.stringify(roleOf(closed, Properties).Properties.ManagedPolicyArns)).toContain(
        'AWSLambdaENIManagementAccess',
      )
    }
    for (const [, { Properties }] of prod.ofType('AWS::Lambda::Function')) {
      expect(Properties.VpcConfig).toBeUndefined()
    }
  })

  test('the concurrency and the days of logs of a stage are its parameters', () => {
    expect(closed.resources.ReplicateLambdaFunction?.Properties).toMatchObject({
      ReservedConcurrentExecutions: 7,
    })
    expect(closed.resources.PlanLogGroup?.Properties.RetentionInDays).toBe(30)
  })

  test('with a key of the customer the table, the queue, the event bus, the alert topic and every log are encrypted with it', () => {
    const { CheckpointTable, FailuresQueue, FailuresBus, AlertTopic } = closed.resources
    expect(CheckpointTable?.Properties.SSESpecification).toEqual({
      SSEEnabled: true,
      SSEType: 'KMS',
      KMSMasterKeyId: exampleKey,
    })
    expect(FailuresQueue?.Properties).toMatchObject({ KmsMasterKeyId: exampleKey })
    expect(FailuresQueue?.Properties).not.toHaveProperty('SqsManagedSseEnabled')
    expect(FailuresBus?.Properties).toMatchObject({ KmsKeyIdentifier: exampleKey })
    expect(AlertTopic?.Properties).toMatchObject({ KmsMasterKeyId: exampleKey })
    const logs = closed.ofType('AWS::Logs::LogGroup')
    expect(logs.map(([, { Properties }]) => Properties.KmsKeyId)).toEqual(
      logs.map(() => exampleKey),
    )
    expect(prod.resources.KeyAccess).toBeUndefined()
    expect(JSON.stringify(closed.resources.KeyAccess)).toContain('kms:GenerateDataKey')
  })

  test('a configuration outside of the image may be read by the functions, and no other one', () => {
    expect(prod.resources.ConfigurationAccess).toBeUndefined()
    const access = closed.resources.ConfigurationAccess?.Properties
    expect(access?.Roles).toHaveLength(closed.ofType('AWS::Lambda::Function').length)
    expect(JSON.stringify(access)).toContain(
      `"Action":"ssm:GetParameter","Resource":"${exampleParameter}"`,
    )
  })

  test('two stages share nothing', () => {
    const namesOf = (template: Template) =>
      JSON.stringify(template.resources).match(/"(?:[a-z/]*)gapless-[a-z]+(?:-[a-z]+)?"/g) ?? []
    const shared = new Set(namesOf(prod))
    expect(shared.size).toBeGreaterThan(5)
    expect(namesOf(closed).filter(name => shared.has(name))).toEqual([])
  })

  test('without an image nothing is packaged or left behind, and the sentence names it', async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'gapless-left-'))
    onTestFinished(() => rmSync(temporary, { recursive: true, force: true }))
    vi.stubEnv('TMPDIR', temporary)
    onTestFinished(() => void vi.unstubAllEnvs())
    await expect(packageStage('prod')).rejects.toThrow(/image/)
    expect(readdirSync(temporary)).toEqual([])
  })
})

function roleOf(template: Template, properties: Resource['Properties']): Resource {
  const { 'Fn::GetAtt': [name] = [] } = properties.Role as { 'Fn::GetAtt'?: string[] }
  const role = template.resources[name ?? '']
  if (role === undefined) throw new Error(`no role ${JSON.stringify(properties.Role)}`)
  return role
}
