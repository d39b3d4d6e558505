// The interface of the two engines that run the stack: processes of this machine (host-stack.ts)
// and containers (docker-stack.ts).

import type { Report } from '../processes/stack-error.ts'
import type { ServiceName, StackSettings } from './stack-settings.ts'

export type UpOptions = {
  report: Report
  /** Called before a service is started: a command that is interrupted then knows what to stop. */
  onStart?: ((service: ServiceName) => void) | undefined
}

export type DownOptions = {
  report: Report
  /** Default: all of them. */
  services?: readonly ServiceName[] | undefined
  /**
   * Default false: the checkpoints are lost with the table in any case, and a standby with records
   * but without checkpoints is an incident.
   */
  keepData?: boolean | undefined
}

export type ServiceStatus = {
  service: ServiceName
  address: string
  pid: number | undefined
  /** `died`: started, and ended by itself. `port taken`: by a process outside of this stack. */
  state: 'running' | 'died' | 'not started' | 'port taken'
  /** A broker answers when it would create a topic now, the AWS endpoints when they answer HTTP. */
  answers: boolean
}

export type StackEngine = {
  /** @returns the services it started; none when all were up. @throws StackError */
  up(settings: StackSettings, options: UpOptions): Promise<ServiceName[]>
  /** @returns the services it stopped. */
  down(settings: StackSettings, options: DownOptions): Promise<ServiceName[]>
  status(settings: StackSettings): Promise<ServiceStatus[]>
  /** Empty for Docker, which keeps the logs itself. */
  findLogFiles(settings: StackSettings, names: readonly ServiceName[]): string[]
}
