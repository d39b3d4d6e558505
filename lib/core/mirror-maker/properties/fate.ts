// Owns the words for what becomes of a property of MirrorMaker 2.

/** What became of a property. */
export type Fate =
  /** `to`: the key of gapless.yml. */
  | { readonly kind: 'mapped'; readonly to: string; readonly why: string }
  /** gapless does it without being told, or does not need it. */
  | { readonly kind: 'built-in'; readonly why: string }
  | { readonly kind: 'no-counterpart'; readonly why: string }
  /** Nothing reads the property. */
  | { readonly kind: 'not-read'; readonly why: string }

export type PropertyRow = {
  /** The names, without the prefix of a cluster or flow; a last `*` stands for any rest. */
  readonly names: readonly string[]
  readonly fate: Exclude<Fate, { kind: 'not-read' }>
}

export const mapped = (to: string, why = '') => ({ kind: 'mapped', to, why }) as const
export const builtIn = (why: string) => ({ kind: 'built-in', why }) as const
export const none = (why: string) => ({ kind: 'no-counterpart', why }) as const
