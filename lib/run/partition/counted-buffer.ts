// Owns how long the memory of an answer is in use: several batches lie in it, and it is given back
// when the last of them was acknowledged. A batch that is forgotten on another way keeps it for
// good, which is safe: it is collected then, and not used again.

export type CountedBuffer = { hold(): void; release(): void }

/** Held once, by whoever creates it. `release` is called when nobody holds it any more. */
export function createCountedBuffer(release: () => void): CountedBuffer {
  let holders = 1
  return {
    hold() {
      holders += 1
    },
    release() {
      holders -= 1
      if (holders === 0) release()
    },
  }
}
