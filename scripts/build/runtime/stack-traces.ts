import { readFileSync } from 'node:fs'
import nodeModule, { type SourceMap } from 'node:module'

type Mapped = (line: number, column: number) => string | undefined

/** Reads a map when it is asked for first; without one nothing is mapped. */
function mapOf(script: string): Mapped {
  let map: SourceMap
  try {
    map = new nodeModule.SourceMap(JSON.parse(readFileSync(`${script}.map`, 'utf8')))
  } catch {
    return () => undefined
  }
  return (line, column) => {
    const entry = map.findEntry(line - 1, column - 1)
    return 'originalSource' in entry
      ? `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
      : undefined
  }
}

/** Node maps traces of modules only (`--enable-source-maps`). What is mapped here is read when the first trace is. */
export function mapStackTraces(folder: string): void {
  const maps = new Map<string, Mapped>()
  const describe = (frame: NodeJS.CallSite): string => {
    const text = String(frame)
    const [file, line, column] = [frame.getFileName(), frame.getLineNumber(), frame.getColumnNumber()]
    if (!file?.startsWith(folder) || !file.endsWith('.js') || line === null || column === null) return text
    const mapped = maps.get(file) ?? mapOf(file)
    maps.set(file, mapped)
    return text.replace(`${file}:${line}:${column}`, (place) => mapped(line, column) ?? place)
  }
  Error.prepareStackTrace = (error, frames) => [String(error), ...frames.map(describe)].join('\n    at ')
}
