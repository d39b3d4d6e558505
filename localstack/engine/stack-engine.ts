// What the two ways of running the stack have in common: processes of this machine (host-stack.ts)
// and containers (docker-stack.ts).

import type { Report } from '../processes/stack-error.ts'
import type { ServiceName, StackSettings } from './stack-settings.ts'

export type UpOptions = {
  report: Report
  /**
   * Called before a service is started, so that who is interrupted in between knows what to stop.
   */
  onStart?: ((service: ServiceName) => void) | undefined
}

export type DownOptions = {
  report: Report
  /** Default: all of them. */
  services?: readonly ServiceName[] | undefined
  /**
   * Default false: the checkpoints are lost with the table in any case, and records without them
   * mislead.
   */
  keepData?: boolean | undefined
}

export type ServiceStatus = {
  service: ServiceName
  address: string
  pid: number | undefined
  /** `died`: it was started and has ended by itself. `port taken`: by somebody else. */
  state: 'running' | 'died' | 'not started' | 'port taken'
  /** Kafka: would create a topic now. AWS: answers HTTP. */
  answers: boolean
}

export type StackEngine = {
  /** @returns the services it started; none when all were up. @throws StackError */
  up(settings: StackSettings, options: UpOptions): Promise<ServiceName[]>
  /** @returns the services it stopped. */
  down(settings: StackSettings, options: DownOptions): Promise<ServiceName[]>
  status(settings: StackSettings): Promise<ServiceStatus[]>
  /** Empty where the engine keeps the logs itself. */
  findLogFiles(settings: StackSettings, names: readonly ServiceName[]): string[]
}
