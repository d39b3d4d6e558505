// npm run package: the artefacts of a deployment, made without network and without Docker. Owns the
// folder build/: `image` is the build context of the image, `cloudformation` the package that
// `serverless deploy` takes. Does not own how the template is made (serverless-package.ts), nor
// building the image (infra/build-image.sh).

import { cp, mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import type { Config } from '../lib/core/config/config.ts'
import { ConfigError, loadConfig } from '../lib/io/config/config-file.ts'
import { isReference } from '../lib/io/config/config-text.ts'
import { bundleFunctions } from './bundle.ts'
import { PackageError, runServerlessPackage } from './serverless-package.ts'

const projectDirectory = join(import.meta.dirname, '..')

/** Stands for an image that is not built yet: the template is complete, but not deployable. */
const noImage = `000000000000.dkr.ecr.us-east-1.amazonaws.com/gapless@sha256:${'0'.repeat(64)}`

const imageForm = /^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com\/[^@\s]+@sha256:[0-9a-f]{64}$/

export type Packaging = {
  readonly stage: string
  /** ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:DIGEST; null before the image is built. */
  readonly image: string | null
  /**
   * The configuration that goes into the image. Where the parameter `config` refers to AWS: a local
   * copy, which is checked and whose certificates go into the image.
   */
  readonly config: string
  /** NAME=VALUE, which replace the values of the stage in serverless.yml. */
  readonly params: readonly string[]
  /** Where `image` and `cloudformation` go; existing ones are replaced. */
  readonly directory: string
}

export type Packaged = {
  readonly bundleBytes: number
  /** Brokers at loopback addresses, which a function in AWS cannot reach. */
  readonly localBrokers: readonly string[]
}

/** Takes about 10 s. Throws `PackageError` or `ConfigError`. */
export async function packageFunctions(input: Packaging): Promise<Packaged> {
  const { stage, image, config, params, directory } = input
  if (image !== null && !imageForm.test(image)) {
    throw new PackageError(
      `--image is ${image}, expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:DIGEST: a tag ` +
        'may name another image tomorrow. infra/build-image.sh prints it.',
    )
  }
  const context = join(directory, 'image')
  const template = join(directory, 'cloudformation')
  await Promise.all([context, template].map(each => rm(each, { recursive: true, force: true })))
  await runServerlessPackage({
    stage,
    params: [`image=${image ?? noImage}`, ...params],
    directory: template,
    env: process.env,
  })
  // Read with the variables of the functions and none of this shell, as the functions will read it.
  const variables = await readVariables(template)
  const parsed = await loadConfig(config, variables)
  await mkdir(context, { recursive: true })
  const files = await bundleFunctions(context)
  await cp(join(import.meta.dirname, 'functions.Dockerfile'), join(context, 'Dockerfile'))
  // With a reference the functions read it from AWS: a copy in the image would only be older.
  if (!isReference(variables.GAPLESS_CONFIG ?? '')) await cp(config, join(context, 'gapless.yml'))
  await copyCertificates(parsed, { from: dirname(config), to: context })
  const brokers = Object.values(parsed.clusters).flatMap(cluster => cluster.brokers)
  return {
    bundleBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    localBrokers: brokers.filter(each => /^(?:localhost|127\.[\d.]+|\[?::1\]?):/.test(each)),
  }
}

const packaged = z.object({
  Resources: z.object({
    PlanLambdaFunction: z.object({
      Properties: z.object({
        Environment: z.object({ Variables: z.record(z.string(), z.unknown()) }),
      }),
    }),
  }),
})

/** The environment variables that the template gives to the functions. */
async function readVariables(directory: string): Promise<Record<string, string>> {
  const file = join(directory, 'cloudformation-template-update-stack.json')
  const { Resources } = packaged.parse(JSON.parse(await readFile(file, 'utf8')))
  const variables = Resources.PlanLambdaFunction.Properties.Environment.Variables
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}

/** The image has only the folder of the configuration, so certificates must lie in or below it. */
async function copyCertificates(config: Config, at: { from: string; to: string }): Promise<void> {
  for (const [name, { tls }] of Object.entries(config.clusters)) {
    if (typeof tls !== 'object') continue
    for (const [key, file] of Object.entries(tls)) {
      if (typeof file !== 'string' || !isAbsolute(file)) continue
      const path = relative(at.from, file)
      if (path.startsWith('..')) {
        throw new PackageError(
          `clusters.${name}.tls.${key} is ${file}, outside of ${at.from}: put it beside the configuration, so that the image contains it.`,
        )
      }
      await cp(file, join(at.to, path))
    }
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      stage: { type: 'string', default: 'prod' },
      image: { type: 'string' },
      config: { type: 'string', default: process.env.GAPLESS_CONFIG || 'gapless.yml' },
      param: { type: 'string', multiple: true, default: [] },
      directory: { type: 'string', default: join(projectDirectory, 'build') },
    },
  })
  const { stage, image = null, config, param: params, directory } = values
  const { bundleBytes, localBrokers } = await packageFunctions({
    stage,
    image,
    config,
    params,
    directory,
  })
  const megabytes = (bundleBytes / 1e6).toFixed(1)
  console.info(`${directory}/image: the functions (${megabytes} MB) with ${config}`)
  console.info(`${directory}/cloudformation: the template of stage ${stage}`)
  if (localBrokers.length > 0) {
    const text = `${config} names ${localBrokers.join(', ')}, which a function in AWS cannot reach: name another configuration with --config.`
    console.warn(text)
  }
  if (image === null) {
    console.info(
      'No --image was given, so the template cannot be deployed yet. Next: infra/build-image.sh REPOSITORY, ' +
        'then npm run package with the --image that it prints (docs/DEPLOY.md).',
    )
  }
}

if (import.meta.main) {
  try {
    await main()
  } catch (error) {
    const isExpected =
      error instanceof PackageError ||
      error instanceof ConfigError ||
      (error instanceof TypeError && 'code' in error)
    if (!isExpected) throw error
    console.error((error as Error).message)
    process.exitCode = 1
  }
}
