// Types, and the lint rules that need types, over the same programs: to read the sources and work out their types is most of what
// either costs. Finds what `tsc --noEmit`, the same for infra/cdk, and `eslint --max-warnings=0` would.
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { ESLint } from 'eslint'
import ts from 'typescript'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
/** A program each. A later one takes from those before what they have read and checked. */
const CONFIGS = ['tsconfig.json', 'infra/cdk/tsconfig.json']

const placed = (file: string, line: number, column: number) => `${relative('.', file)}:${line}:${column}: `

function described({ file, start = 0, code, messageText }: ts.Diagnostic): string {
  const text = `${ts.flattenDiagnosticMessageText(messageText, '\n')} (TS${code})`
  if (!file) return text
  const { line, character } = file.getLineAndCharacterOfPosition(start)
  return placed(file.fileName, line + 1, character + 1) + text
}

function configured(path: string): ts.ParsedCommandLine {
  const parsed = ts.getParsedCommandLineOfConfigFile(path, undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (problem) => {
      throw new Error(described(problem))
    },
  })
  if (!parsed) throw new Error(`${path} cannot be read`)
  return parsed
}

const configs = CONFIGS.map(configured)
const optionsOf = ({ options: { configFilePath, ...options } }: ts.ParsedCommandLine) => options
// What was read for one program means the same in another only while they read alike.
if (!configs.every((config, _, [first]) => first && isDeepStrictEqual(optionsOf(config), optionsOf(first))))
  throw new Error(`the compiler options of ${CONFIGS.join(' and ')} differ`)

const read = new Map<string, ts.SourceFile | undefined>()
const programs = configs.map(({ options, fileNames, errors }) => {
  const host = ts.createCompilerHost(options)
  const { getSourceFile } = host
  host.getSourceFile = (name, ...how) => {
    if (!read.has(name)) read.set(name, getSourceFile(name, ...how))
    return read.get(name)
  }
  return ts.createProgram({ rootNames: fileNames, options, host, configFileParsingDiagnostics: errors })
})

const checked = new Set<ts.SourceFile>()
const problemsOf = (program: ts.Program): ts.Diagnostic[] => {
  const files = program.getSourceFiles().filter((file) => !checked.has(file))
  const problems = files.flatMap((file) => {
    checked.add(file)
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  })
  return [
    ...program.getConfigFileParsingDiagnostics(),
    ...program.getOptionsDiagnostics(),
    ...problems,
    ...program.getGlobalDiagnostics(),
  ]
}
const typeProblems = ts.sortAndDeduplicateDiagnostics(programs.flatMap(problemsOf)).map(described)

const eslint = new ESLint({
  overrideConfig: {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: false, programs } },
  },
})
const linted = await eslint.lintFiles('.')
const lintProblems = linted.flatMap(({ filePath, messages }) =>
  messages.map(
    ({ line, column, message, ruleId }) =>
      `${placed(filePath, line, column)}${message} (${ruleId ?? 'eslint'})`,
  ),
)

// Either sees nothing, and finds nothing, where its files are named wrongly; a source of the one is one of the other.
const sources = new Set(configs.flatMap(({ fileNames }) => fileNames.map((name) => resolve(name))))
const lintedSources = new Set(linted.map(({ filePath }) => filePath))
const unlinted = [...sources]
  .filter((name) => !lintedSources.has(name))
  .map((name) => `${relative('.', name)}: not linted`)
const empty = CONFIGS.filter((_, index) => configs[index]?.fileNames.length === 0).map(
  (path) => `${path}: no files`,
)

const problems = [...typeProblems, ...lintProblems, ...unlinted, ...empty]
for (const problem of problems) console.error(problem)
console.log(`types: ${sources.size} files, lint: ${linted.length} files, ${problems.length} problems`)
if (problems.length > 0) process.exit(1)
