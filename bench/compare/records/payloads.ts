// Owns the values of compressed records: distinct events like those of applications, because random
// letters hardly compress, and a repeated record compresses unrealistically well. The events are
// the same in every run.

import { writeFile } from 'node:fs/promises'

const EVENTS = 20_000
const kinds = ['order-created', 'order-paid', 'parcel-sent', 'parcel-received', 'order-returned']
const cities = ['Lagos', 'Osaka', 'Bergen', 'Quito', 'Leipzig', 'Perth', 'Tunis', 'Recife']

/** Writes one event per line for ProducerPerformance's --payload-file, `bytes` ASCII bytes each. */
export async function writePayloads(path: string, bytes: number): Promise<void> {
  const next = createSequence(42)
  const lines = Array.from({ length: EVENTS }, (_, index) => eventOf(index, bytes, next))
  await writeFile(path, lines.join('\n'))
}

function eventOf(index: number, bytes: number, next: () => number): string {
  const event = {
    id: next().toString(16).padStart(8, '0'),
    sequence: index,
    kind: kinds[next() % kinds.length],
    at: new Date(1_700_000_000_000 + index * 731).toISOString(),
    customer: { number: next() % 100_000, city: cities[next() % cities.length] },
    lines: [] as unknown[],
  }
  const line = () => ({
    article: `A-${next() % 5_000}`,
    pieces: 1 + (next() % 9),
    cents: next() % 90_000,
  })
  while (JSON.stringify(event).length + 60 < bytes) event.lines.push(line())
  return JSON.stringify(event).padEnd(bytes).slice(0, bytes)
}

/** Marsaglia's xorshift of 32 bits: the same numbers for the same seed. */
function createSequence(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}
