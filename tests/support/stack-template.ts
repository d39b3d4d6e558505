// The templates that `serverless package` renders from serverless.yml for a stage, without
// credentials, network or settings of this machine. Owns the types of the resources that tests
// read; not their expected values.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { runServerlessPackage } from '../../infra/serverless-package.ts'
import { fetchLocalStack } from '../../localstack/artifacts.ts'
import { runCommand } from '../../localstack/processes/os-process.ts'

export const exampleImage = `123456789012.dkr.ecr.eu-central-1.amazonaws.com/gapless@sha256:${'ab'.repeat(32)}`

export type Resource = {
  readonly Type: string
  readonly DeletionPolicy?: string
  readonly UpdateReplacePolicy?: string
  readonly Properties: Readonly<Record<string, unknown>>
}

export type Template = {
  readonly file: string
  readonly resources: Readonly<Record<string, Resource>>
  ofType(type: string): readonly (readonly [string, Resource])[]
  remove(): void
}

export type Statement = {
  readonly Effect: string
  readonly Action: string | readonly string[]
  readonly Resource: unknown
  readonly Condition?: Readonly<Record<string, unknown>>
}

/** The environment of a machine with Node and without AWS settings. */
export function strangersEnvironment(home: string): NodeJS.ProcessEnv {
  return {
    HOME: home,
    PATH: [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter),
    // Node's compiled code of serverless, which takes a third of the time.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    // A request to AWS in spite of it gets no answer.
    HTTP_PROXY: 'http://127.0.0.1:9',
    HTTPS_PROXY: 'http://127.0.0.1:9',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}

/** Takes about 5 s. @throws Error with the output when the command fails. */
export async function packageStage(
  stage: string,
  params: Readonly<Record<string, string>> = {},
): Promise<Template> {
  const directory = mkdtempSync(join(tmpdir(), 'gapless-template-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  try {
    await runServerlessPackage({
      stage,
      params: Object.entries(params).map(([name, value]) => `${name}=${value}`),
      directory: join(directory, 'package'),
      env: strangersEnvironment(directory),
    })
    const file = join(directory, 'package', templateName)
    return { ...readTemplate(file), file, remove }
  } catch (error) {
    remove()
    throw error
  }
}

/** The file name that `serverless package` gives to the template of the functions. */
export const templateName = 'cloudformation-template-update-stack.json'

export function readTemplate(file: string): Pick<Template, 'resources' | 'ofType'> {
  const { Resources } = JSON.parse(readFileSync(file, 'utf8')) as {
    Resources: Record<string, Resource>
  }
  return {
    resources: Resources,
    ofType: type => Object.entries(Resources).filter(([, resource]) => resource.Type === type),
  }
}

/** Errors and warnings of cfn-lint, which is among LocalStack's pinned packages. */
export async function lintTemplates(files: readonly string[]): Promise<string[]> {
  const python = join(await fetchLocalStack(), 'bin', 'python')
  const { code, output } = await runCommand({
    command: python,
    args: [
      ...['-c', 'from cfnlint.runner import main; main()'],
      // W3005: a function depends on its role twice, by a property and by the DependsOn that
      // serverless adds. That is correct, and serverless gives no way to leave it out.
      ...['--format', 'parseable', '--ignore-checks', 'W3005', '--template', ...files],
    ],
  })
  const findings = output.split('\n').filter(line => line.trim() !== '')
  if (code !== 0 && findings.length === 0) return [`cfn-lint ended with ${code} and said nothing`]
  return findings
}

/** The statements of a role's own policies. */
export function statementsOf(role: Resource): readonly Statement[] {
  const policies = role.Properties.Policies as {
    PolicyDocument: { Statement: Statement[] }
  }[]
  return policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
}

export function actionsOf(statements: readonly Statement[]): string[] {
  return statements.flatMap(({ Action }) => Action).toSorted()
}
