// Brokers of the version that KAFKA_VERSION names, fetched before a run of tests begins. Owns that
// a wrong version ends the run with one line: otherwise each file of tests would fail with a trace
// of its own. Does not own which versions there are (broker-jars.ts).

import { fetchBrokerJars, readBrokerVersion } from '../../../localstack/kafka/broker-jars.ts'
import { reportToStandardError, StackError } from '../../../localstack/processes/stack-error.ts'

/** @returns the version of the brokers. Ends the process where there are no such brokers. */
export async function fetchChosenBrokers(): Promise<string> {
  try {
    const version = readBrokerVersion()
    // Without the variable the pinned jars are fetched when a test first needs a broker.
    if (process.env.KAFKA_VERSION) await fetchBrokerJars(version, reportToStandardError)
    return version
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    console.error(error.message)
    process.exit(1)
  }
}
