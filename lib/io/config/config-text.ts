// Owns reading the text of the configuration: from a file, from a parameter of SSM (`ssm:/name`) or
// from an object of S3 (`s3://bucket/key`). So a change of the configuration needs no new image.
// Does not own what the text means (config-file.ts).

import { createReadStream } from 'node:fs'

/** A configuration has kilobytes; a larger file was named by mistake. */
const CONFIG_BYTES_MAX = 1024 * 1024
/** Attempts per request, the first one included. */
const ATTEMPTS_MAX = 3
const REQUEST_TIMEOUT_MS = 5_000

/** The two requests to AWS; null: there is no text. */
export type ConfigRequests = {
  getParameter(name: string, region: string | null): Promise<string | null>
  /** At most `bytesMax` bytes of the object. */
  getObject(bucket: string, key: string, bytesMax: number): Promise<string | null>
}

type Reference =
  | { readonly kind: 'ssm'; readonly name: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly key: string }

/** True when `where` names a place in AWS, and no file. */
export function isReference(where: string): boolean {
  return /^(ssm:|s3:\/\/)/.test(where)
}

export type ConfigText =
  | { readonly kind: 'text'; readonly text: string }
  /** `reason`: one line that names the place, why it cannot be read, and what to do. */
  | { readonly kind: 'refused'; readonly reason: string; readonly cause: unknown }

export async function readConfigText(
  where: string,
  requests: ConfigRequests = awsRequests,
): Promise<ConfigText> {
  const refused = (reason: string, cause: unknown = null): ConfigText => {
    return { kind: 'refused', reason: `${where}: ${reason}`, cause }
  }
  let text: string | null
  try {
    if (!isReference(where)) text = await readFile(where)
    else {
      const reference = parseReference(where)
      if (reference === null) {
        return refused('no place; accepted: a path, ssm:/name, ssm:ARN or s3://bucket/key')
      }
      text = await ask(reference, requests)
      if (text === null || text === '') return refused('it holds no text')
    }
  } catch (cause) {
    const reference = parseReference(where)
    // The errors of the SDK may quote the request, so they are no cause of ours.
    return reference === null
      ? refused(unreadable(cause), cause)
      : refused(refusal(reference, cause))
  }
  if (Buffer.byteLength(text) <= CONFIG_BYTES_MAX) return { kind: 'text', text }
  return refused(
    `larger than ${CONFIG_BYTES_MAX} bytes, so it is no configuration of gapless; ` +
      'set GAPLESS_CONFIG to the path of one',
  )
}

/** At most one byte more than accepted, which shows that a file is too large. */
async function readFile(path: string): Promise<string> {
  const chunks: Buffer[] = []
  // `end` is inclusive.
  for await (const chunk of createReadStream(path, { end: CONFIG_BYTES_MAX })) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function unreadable(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const remedy = 'set GAPLESS_CONFIG to the path of one (docs/CONFIG.md shows the smallest)'
  if (code === 'ENOENT') return `no such file; write a configuration there, or ${remedy}`
  if (code === 'EISDIR') return `a directory, not a configuration; ${remedy}`
  if (code === 'EACCES') return `permission denied; make it readable, or ${remedy}`
  return `cannot be read (${String(code ?? cause)}); ${remedy}`
}

/** `ssm:/name`, `ssm:arn:aws:ssm:…`, `s3://bucket/key`; null for anything else. */
function parseReference(where: string): Reference | null {
  const [, name] = /^ssm:(?!\/\/)(\S+)$/.exec(where) ?? []
  if (name !== undefined) return { kind: 'ssm', name }
  const [, bucket, key] =
    /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/([^\s?#]+)$/.exec(where) ?? []
  return bucket === undefined || key === undefined ? null : { kind: 's3', bucket, key }
}

function ask(reference: Reference, requests: ConfigRequests): Promise<string | null> {
  if (reference.kind === 's3') {
    return requests.getObject(reference.bucket, reference.key, CONFIG_BYTES_MAX + 1)
  }
  // An ARN also names the region: the parameter may be in another one than the function.
  const [arn, , , region] = reference.name.split(':')
  return requests.getParameter(reference.name, arn === 'arn' && region ? region : null)
}

/** Why AWS did not answer with the text, and what to do. The error's name alone is reported. */
function refusal(reference: Reference, cause: unknown): string {
  const name = cause instanceof Error ? cause.name : 'no error'
  if (!(cause instanceof Error && '$fault' in cause)) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : name
    return `cannot be read (${code}); check region, network and credentials of this process`
  }
  const [action, see] =
    reference.kind === 'ssm'
      ? ['ssm:GetParameter', `aws ssm get-parameter --name ${reference.name}`]
      : [
          's3:GetObject',
          `aws s3api head-object --bucket ${reference.bucket} --key ${reference.key}`,
        ]
  const isMissing = /NotFound|NoSuch/.test(name)
  const next = isMissing
    ? `create it, or correct its name and region: ${see}`
    : `allow this role ${action} (kms:Decrypt, if it has its own key): ${see}`
  return `cannot be read (AWS answered ${name}); ${next}`
}

// Each SDK client is loaded for a configuration that is there: most processes read a file.
const awsRequests: ConfigRequests = {
  async getParameter(name, region) {
    const { SSMClient, GetParameterCommand } = await import('@aws-sdk/client-ssm')
    const client = new SSMClient({ ...(region === null ? {} : { region }), ...clientOptions })
    try {
      const answer = await client.send(
        new GetParameterCommand({ Name: name, WithDecryption: true }),
      )
      return answer.Parameter?.Value ?? null
    } finally {
      client.destroy()
    }
  },
  async getObject(bucket, key, bytesMax) {
    const { S3Client, GetObjectCommand } = await import('@aws-sdk/client-s3')
    // A custom endpoint (a local stack) has no host name for each bucket.
    const forcePathStyle = process.env.AWS_ENDPOINT_URL_S3 || process.env.AWS_ENDPOINT_URL
    const client = new S3Client({
      ...clientOptions,
      ...(forcePathStyle ? { forcePathStyle: true } : {}),
    })
    try {
      const answer = await client.send(
        new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=0-${bytesMax - 1}` }),
      )
      return (await answer.Body?.transformToString('utf8')) ?? null
    } finally {
      client.destroy()
    }
  },
}

const clientOptions = {
  maxAttempts: ATTEMPTS_MAX,
  requestHandler: {
    connectionTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    throwOnRequestTimeout: true,
  },
}
