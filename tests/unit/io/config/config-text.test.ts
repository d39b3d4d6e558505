// Where the text of the configuration comes from: a file, a parameter of SSM, an object of S3.

import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../../../lib/io/config/config-file.ts'
import type { ConfigRequests } from '../../../../lib/io/config/config-text.ts'

const text = `clusters:
  primary: { brokers: ["b1:9092"] }
  standby: { brokers: ["b2:9092"] }
flows:
  - { name: one, from: primary, to: standby, topics: [orders] }
`

/** Requests that are answered with `answer`, or fail with it, and what was asked for. */
function requests(answer: string | null | Error) {
  const asked: string[] = []
  const respond = async (what: string) => {
    asked.push(what)
    if (answer instanceof Error) throw answer
    return answer
  }
  const made: ConfigRequests = {
    getParameter: (name, region) => respond(`${name} in ${region}`),
    getObject: (bucket, key, bytesMax) => respond(`${bucket} ${key} ${bytesMax}`),
  }
  return { asked, made }
}

/** An error of the SDK: `$fault` marks an answer of the service. */
function answered(name: string): Error {
  return Object.assign(new Error(`${name} quotes the request: canary`), { name, $fault: 'client' })
}

async function refusalOf(where: string, answer: string | null | Error): Promise<string> {
  const loading = loadConfig(where, {}, requests(answer).made)
  return loading.then(
    () => 'accepted',
    error => (error as Error).message,
  )
}

describe('A configuration by reference', () => {
  test.each([
    ['ssm:/gapless/config', '/gapless/config in null'],
    ['ssm:gapless', 'gapless in null'],
    [
      'ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/gapless',
      'arn:aws:ssm:eu-west-1:123456789012:parameter/gapless in eu-west-1',
    ],
    ['s3://my-bucket/a/gapless.yml', 'my-bucket a/gapless.yml 1048577'],
  ])('%s is read from AWS', async (where, expected) => {
    const { asked, made } = requests(text)
    const config = await loadConfig(where, {}, made)
    expect(config.flows.map(each => each.name)).toEqual(['one'])
    expect(asked).toEqual([expected])
  })

  test('its problems have its place and their lines, as those of a file', async () => {
    expect(await refusalOf('ssm:/gapless', text.replace('orders', '"/(/"'))).toBe(
      'ssm:/gapless:5: flows[0].topics[0] is "/(/"; accepted: a topic name, or a pattern between slashes',
    )
  })

  test.each<[string, string | null | Error, string]>([
    [
      'ssm:/gapless',
      answered('ParameterNotFound'),
      'cannot be read (AWS answered ParameterNotFound); create it, or correct its name and region: aws ssm get-parameter --name /gapless',
    ],
    [
      'ssm:/gapless',
      answered('AccessDeniedException'),
      'cannot be read (AWS answered AccessDeniedException); allow this role ssm:GetParameter (kms:Decrypt, if it has its own key): ' +
        'aws ssm get-parameter --name /gapless',
    ],
    [
      's3://my-bucket/key',
      answered('NoSuchKey'),
      'cannot be read (AWS answered NoSuchKey); create it, or correct its name and region: aws s3api head-object --bucket my-bucket --key key',
    ],
    [
      's3://my-bucket/key',
      answered('AccessDenied'),
      'cannot be read (AWS answered AccessDenied); allow this role s3:GetObject (kms:Decrypt, if it has its own key): ' +
        'aws s3api head-object --bucket my-bucket --key key',
    ],
    [
      'ssm:/gapless',
      Object.assign(new Error('canary'), { code: 'ECONNREFUSED' }),
      'cannot be read (ECONNREFUSED); check region, network and credentials of this process',
    ],
    ['ssm:/gapless', null, 'it holds no text'],
    [
      's3://my-bucket/key',
      'x'.repeat(1024 * 1024 + 1),
      'larger than 1048576 bytes, so it is no configuration of gapless; set GAPLESS_CONFIG to the path of one',
    ],
    ['s3://my-bucket', text, 'no place; accepted: a path, ssm:/name, ssm:ARN or s3://bucket/key'],
    ['s3://my-bucket/', text, 'no place; accepted: a path, ssm:/name, ssm:ARN or s3://bucket/key'],
    ['ssm:', text, 'no place; accepted: a path, ssm:/name, ssm:ARN or s3://bucket/key'],
    ['ssm://name', text, 'no place; accepted: a path, ssm:/name, ssm:ARN or s3://bucket/key'],
  ])('%s that cannot be read is one line with the next step', async (where, answer, line) => {
    const refusal = await refusalOf(where, answer)
    expect(refusal).toBe(`${where}: ${line}`)
    expect(refusal).not.toContain('canary')
  })
})
