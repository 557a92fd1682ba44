import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = ['shared', 'functions', 'connector']
/** Codes of tools that run beside a node, never of a node. */
const isLeftOut = (path: string): boolean => /\.test\.ts$|\/testing\/|embedded-postgres|harness/.test(path)
/** Unions whose members callers or operators meet. */
const isCodeUnion = (name: string): boolean =>
  /(RefusalCode|FailureCode|ErrorCode|GraphqlCode|ReceiverClosed)$/.test(name)

async function sources(): Promise<string[]> {
  const found = await Promise.all(
    folders.map((folder) => readdir(`${root}/${folder}`, { recursive: true, withFileTypes: true })),
  )
  return found
    .flat()
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .filter((path) => !isLeftOut(path))
}

const literals = (node: ts.Node): string[] => {
  if (ts.isStringLiteral(node)) return [node.text]
  // `X['code']` is somebody else's code.
  if (ts.isIndexedAccessTypeNode(node)) return []
  return node.getChildren().flatMap(literals)
}

/** Keys of the object that `keyof typeof name` speaks of. */
function keysOf(file: ts.SourceFile, name: string): string[] {
  const keys: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && node.name.getText() === name && node.initializer) {
      const value = node.initializer
      const object = ts.isAsExpression(value) || ts.isSatisfiesExpression(value) ? value.expression : value
      if (ts.isObjectLiteralExpression(object))
        for (const property of object.properties) if (property.name) keys.push(property.name.getText())
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return keys
}

/** `new Fault(…)`, or `super(…)` in a class of faults. */
function isFault(node: ts.Node): node is ts.NewExpression | ts.CallExpression {
  if (ts.isNewExpression(node)) return node.expression.getText() === 'Fault'
  if (!ts.isCallExpression(node) || node.expression.kind !== ts.SyntaxKind.SuperKeyword) return false
  const owner = ts.findAncestor(node, ts.isClassDeclaration)
  return owner?.heritageClauses?.some((clause) => clause.getText() === 'extends Fault') ?? false
}

/** Every code in one file: unions, the codes of refusals with one only, and what faults are made with. */
function codesIn(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const codes: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isTypeAliasDeclaration(node) && isCodeUnion(node.name.text)) {
      codes.push(...literals(node.type))
      const keys = /^keyof typeof (\w+)$/.exec(node.type.getText())
      if (keys?.[1]) codes.push(...keysOf(file, keys[1]))
    }
    if (ts.isExpressionWithTypeArguments(node) && node.expression.getText() === 'Refusal')
      codes.push(...(node.typeArguments ?? []).flatMap(literals))
    if (isFault(node) && node.arguments?.[0]) codes.push(...literals(node.arguments[0]))
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'onTimeout')
      codes.push(...literals(node.initializer))
    ts.forEachChild(node, visit)
  }
  visit(file)
  return codes
}

/** Codes that some table of the page explains. */
const explained = (page: string): string[] =>
  [...page.matchAll(/^\| `([^`]+)` \|/gm)].flatMap((match) => (match[1] === undefined ? [] : [match[1]]))

test('docs/errors.md explains every code that a node gives, and none that it does not', async () => {
  const known = new Set<string>()
  for (const path of await sources())
    for (const code of codesIn(path, await readFile(path, 'utf8'))) known.add(code)
  assert.ok(known.size > 150, `only ${known.size} codes were found: has the way of writing them changed?`)
  const page = explained(await readFile(`${root}/docs/errors.md`, 'utf8'))
  const onPage = new Set(page)
  assert.deepEqual([...known].filter((code) => !onPage.has(code)).sort(), [], 'missing on the page')
  assert.deepEqual([...onPage].filter((code) => !known.has(code)).sort(), [], 'no longer given by any source')
  assert.deepEqual(
    page.filter((code, index) => page.indexOf(code) !== index),
    [],
    'explained twice',
  )
})

test('a code that is new is noticed', () => {
  const codes = codesIn(
    'a.ts',
    `
    export type XRefusalCode = OtherCode | 'one' /** words */ | 'two'
    const table = { three: { message: 'no' }, four: {} } as const
    export type XFailureCode = keyof typeof table
    class Y extends Refusal<'five'> {}
    throw new Fault(late ? 'six' : 'seven', { retryable: true })
    class Z extends Fault { constructor() { super('eight', {}) } }`,
  )
  assert.deepEqual(codes, ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'])
})
