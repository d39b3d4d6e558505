// Owns what an import notes on its way besides the configuration itself: comments for the file,
// secrets to be put in place, and what a person has to decide.

/** A value that is to be put into a secret before the first run. */
export type SecretNeed = {
  /** Name in AWS Secrets Manager. */
  readonly secret: string
  /** The key of the JSON object that the secret holds. */
  readonly key: string
  /** Where the value is now. */
  readonly from: string
  /** The command that prints it; null: it stands in the place that `from` names. */
  readonly command: string | null
}

export type Ledger = {
  /** Comments by the path of the key that they stand above: `flows.0.topics`. */
  readonly comments: Map<string, string[]>
  readonly secrets: SecretNeed[]
  /** What a person has to decide, each with the flows and clusters that it is about. */
  readonly decisions: Map<string, Set<string>>
}

export function openLedger(): Ledger {
  return { comments: new Map(), secrets: [], decisions: new Map() }
}

/** A comment that stands in the file already is not repeated. */
export function comment(ledger: Ledger, path: string, text: string): void {
  if ([...ledger.comments.values()].some(each => each.includes(text))) return
  ledger.comments.set(path, [...(ledger.comments.get(path) ?? []), text])
}

/** @param about `flow A-to-B`, `cluster A` */
export function decide(ledger: Ledger, about: string, sentence: string): void {
  const known = ledger.decisions.get(sentence) ?? new Set()
  ledger.decisions.set(sentence, known.add(about))
}

/** `flow A-to-B, flow B-to-A: sentence` */
export function decisionLines({ decisions }: Ledger): string[] {
  return [...decisions].map(([sentence, about]) => `${[...about].join(', ')}: ${sentence}`)
}
