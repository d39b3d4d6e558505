// The project's files for the tidy test: their paths, and the imports, functions, names, comments
// and strings of each TypeScript file, read by the compiler's own parser. Does not own any rule
// (tests/tidy.test.ts).

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Node, SourceFile } from 'typescript/unstable/ast'
import {
  isArrowFunction,
  isClassDeclaration,
  isConstructorDeclaration,
  isExportDeclaration,
  isFunctionDeclaration,
  isFunctionExpression,
  isGetAccessorDeclaration,
  isIdentifier,
  isImportDeclaration,
  isImportExpression,
  isMethodDeclaration,
  isNoSubstitutionTemplateLiteral,
  isPropertyAccessExpression,
  isRegularExpressionLiteral,
  isSetAccessorDeclaration,
  isStringLiteral,
  isTemplateHead,
  isTemplateMiddle,
  isTemplateTail,
} from 'typescript/unstable/ast/is'
import { API } from 'typescript/unstable/sync'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Something at a line (from 1) of a file. */
export type Found = { readonly line: number; readonly text: string }

export type TypeScriptFile = {
  readonly path: string
  readonly lines: readonly string[]
  /** Import specifiers, also of `import()`; relative ones as paths from the root. */
  readonly imports: readonly Found[]
  /** `export … from`: names that are re-exported. */
  readonly reexports: readonly Found[]
  /** `text` is the function's name, or the name that it is assigned to. */
  readonly functions: readonly (Found & { readonly ownLines: number })[]
  /**
   * Names used as values or types, except the ones behind a dot; those as `of.name`
   * for the names before the dot.
   */
  readonly names: readonly Found[]
  readonly classes: readonly Found[]
  readonly comments: readonly Found[]
  /** Strings and templates, without the expressions inside. */
  readonly strings: readonly Found[]
}

/** Every file of the project that git tracks, or that is new and not ignored. */
export function listFiles(): string[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '-z'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  )
  return listed.split('\0').filter(path => path !== '' && existsSync(join(root, path)))
}

/** Reads the TypeScript files that the project's tsconfig.json names, and no others. */
export function readTypeScript(paths: readonly string[]): TypeScriptFile[] {
  const api = new API({ cwd: root })
  try {
    const snapshot = api.updateSnapshot({ openProjects: [join(root, 'tsconfig.json')] })
    const program = snapshot.getProjects()[0]?.program
    return paths.flatMap(path => {
      const file = program?.getSourceFile(join(root, path))
      return file === undefined ? [] : [read(path, file)]
    })
  } finally {
    api.close()
  }
}

function read(path: string, file: SourceFile): TypeScriptFile {
  const text = readFileSync(join(root, path), 'utf8')
  const lineOf = (position: number) => file.getLineAndCharacterOfPosition(position).line + 1
  const found = {
    imports: [] as Found[],
    reexports: [] as Found[],
    functions: [] as TypeScriptFile['functions'][number][],
    names: [] as Found[],
    classes: [] as Found[],
    strings: [] as Found[],
  }
  let code = text
  const visit = (node: Node): void => {
    const at = node.getStart(file)
    const line = lineOf(at)
    const add = (to: Found[], what: string) => to.push({ line, text: what })
    if (isImportDeclaration(node) && isStringLiteral(node.moduleSpecifier)) {
      add(found.imports, resolved(path, node.moduleSpecifier.text))
    } else if (isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      add(found.reexports, node.getText(file))
    } else if (isImportExpression(node)) {
      const [target] = node.parent.getText(file).match(/(?<=['"])[^'"]+/) ?? []
      add(found.imports, resolved(path, target ?? ''))
    } else if (isFunction(node)) {
      found.functions.push({ line, text: nameOf(node, file), ownLines: ownLinesOf(node, file) })
    } else if (isClassDeclaration(node)) {
      add(found.classes, node.getText(file).split('{')[0] ?? '')
    } else if (isIdentifier(node)) {
      add(found.names, dotted(node))
    } else if (isText(node)) {
      const literal = text.slice(at, node.end)
      if (!isRegularExpressionLiteral(node)) add(found.strings, literal)
      code = code.slice(0, at) + literal.replace(/[^\n]/g, ' ') + code.slice(node.end)
    }
    node.forEachChild(visit)
  }
  visit(file)
  return { path, lines: text.split('\n'), ...found, comments: commentsOf(code, text) }
}

/** Blanks out every literal first, so that everything that looks like a comment is one. */
function commentsOf(code: string, text: string): Found[] {
  return [...code.matchAll(/\/\/.*|\/\*[\s\S]*?\*\//g)].flatMap(match => {
    const firstLine = code.slice(0, match.index).split('\n').length
    const whole = text.slice(match.index, match.index + match[0].length)
    return whole.split('\n').map((each, index) => ({ line: firstLine + index, text: each }))
  })
}

function isText(node: Node): boolean {
  return (
    isStringLiteral(node) ||
    isNoSubstitutionTemplateLiteral(node) ||
    isTemplateHead(node) ||
    isTemplateMiddle(node) ||
    isTemplateTail(node) ||
    isRegularExpressionLiteral(node)
  )
}

function isFunction(node: Node): boolean {
  return (
    isFunctionDeclaration(node) ||
    isFunctionExpression(node) ||
    isArrowFunction(node) ||
    isMethodDeclaration(node) ||
    isConstructorDeclaration(node) ||
    isGetAccessorDeclaration(node) ||
    isSetAccessorDeclaration(node)
  )
}

function nameOf(node: Node, file: SourceFile): string {
  const named = isFunctionDeclaration(node) || isMethodDeclaration(node) ? node : node.parent
  return (
    named
      .getText(file)
      .split(/[({=\n]/)[0]
      ?.trim() ?? ''
  )
}

/** Lines of a function. A function inside counts as one line, because it is counted by itself. */
function ownLinesOf(node: Node, file: SourceFile): number {
  const linesOf = (each: Node) => {
    const first = file.getLineAndCharacterOfPosition(each.getStart(file)).line
    return file.getLineAndCharacterOfPosition(each.end).line - first + 1
  }
  let own = linesOf(node)
  const subtract = (inner: Node): void => {
    if (isFunction(inner)) own -= linesOf(inner) - 1
    else inner.forEachChild(subtract)
  }
  node.forEachChild(subtract)
  return own
}

/** `Math.random` for the name behind the dot, `Math` for the one before it. */
function dotted(node: Node & { readonly text: string }): string {
  const { parent } = node
  if (!isPropertyAccessExpression(parent) || parent.name !== node) return node.text
  return isIdentifier(parent.expression)
    ? `${parent.expression.text}.${node.text}`
    : `.${node.text}`
}

function resolved(path: string, specifier: string): string {
  return specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier
}
