// Owns the command that sets or removes one config of a standby topic, for an operator to type.
// Does not own which value is right (topic-configs.ts, lossy-settings.ts).

/** `value` null: the config is removed from the topic. */
export function configCommand(to: {
  readonly cluster: string
  readonly topic: string
  readonly config: string
  readonly value: string | null
}): string {
  const { cluster, topic, config, value } = to
  const change =
    value === null ? `--delete-config ${config}` : `--add-config ${config}=${argumentOf(value)}`
  return (
    `kafka-configs --bootstrap-server BROKERS-OF-${cluster} --alter --entity-type topics ` +
    `--entity-name ${topic} ${change}`
  )
}

/** A list would be read as several configs (ConfigCommand.parseConfigsToBeAdded). */
function argumentOf(value: string): string {
  return value.includes(',') ? `[${value}]` : value
}
