// Owns what a person may choose about incidents. The defaults, with their
// reasons, are in defaults.ts.

export type Policies = {
  /** Where a partition begins that was never seen before. */
  readonly startFrom: 'log-start' | 'log-end'
  readonly onTruncation: 'halt' | 'continue'
  readonly onReset: 'resume' | 'halt'
  readonly onDivergence: 'halt' | 'continue'
}
