// Runs `serverless package`. Every packaging goes through here, so that several can run at the same
// time. Owns the folder that each one works in. Does not own what is packaged (serverless.yml), nor
// what happens to the package (package.ts).

import { copyFile, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { runCommand } from '../localstack/processes/os-process.ts'

const projectDirectory = join(import.meta.dirname, '..')

/** The folder that serverless always works in, within the folder of the service. */
const workFolder = '.serverless'
const configuration = 'serverless.yml'

export type ServerlessPackaging = {
  readonly stage: string
  /** NAME=VALUE, which replace the values of the stage in serverless.yml. */
  readonly params: readonly string[]
  /** Where the package goes; an existing folder is replaced. */
  readonly directory: string
  readonly env: NodeJS.ProcessEnv
}

/** An error that is shown without a stack trace. */
export class PackageError extends Error {
  override readonly name = 'PackageError'
}

/** Takes about 5 s. @throws PackageError with the output of a command that failed. */
export async function runServerlessPackage(input: ServerlessPackaging): Promise<void> {
  // Absolute, because the command runs in another folder.
  const directory = resolve(input.directory)
  const service = await mkdtemp(join(tmpdir(), 'gapless-service-'))
  try {
    await linkProject(service)
    const { code, output } = await runCommand({
      command: process.execPath,
      args: [
        join(projectDirectory, 'node_modules', 'serverless', 'bin', 'serverless.js'),
        ...['package', '--stage', input.stage, '--package', directory],
        ...input.params.flatMap(each => ['--param', each]),
      ],
      cwd: service,
      env: input.env,
    })
    if (code === 0) return
    throw new PackageError(
      `serverless package (into ${directory}) failed with code ${code}. Correct what it reports and try again:\n${output.trim()}`,
    )
  } finally {
    // Removes the links, not the files that they point to.
    await rm(service, { recursive: true, force: true })
  }
}

/**
 * Fills `service` with links to everything in the project but the work folder. Two packagings that
 * share a work folder delete and read each other's files, and the artefact of one stage may then
 * hold the template of the other. Everything is linked, because a list would have to repeat what
 * serverless.yml includes and packs; a link to a file that was deleted meanwhile does no harm.
 */
async function linkProject(service: string): Promise<void> {
  const entries = await readdir(projectDirectory)
  await Promise.all(
    entries.map(async entry => {
      if (entry === workFolder) return
      const from = join(projectDirectory, entry)
      const to = join(service, entry)
      // serverless ignores a configuration that is a symbolic link.
      await (entry === configuration ? copyFile(from, to) : symlink(from, to))
    }),
  )
}
