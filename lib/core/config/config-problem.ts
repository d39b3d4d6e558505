// Owns the form of a problem of the configuration, as the schema and the checks behind it find it.

export type ConfigPath = readonly (string | number)[]

/** A refused value: its path, and the form that would be accepted there. */
export type ConfigProblem = { readonly path: ConfigPath; readonly accepted: string }
