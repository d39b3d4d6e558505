// Owns the text of an unknown error: whatever was thrown, as one sentence for a log or a report.

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
