const CLASS = /^((?:export )?(?:abstract )?class (\w+)\b[^{]*\{)/gm

/**
 * Errors are named by their classes (`new.target.name`), and a minifier gives classes other names. To have it keep all names would cost
 * each start a definition for each function.
 */
export const withClassNames = (text: string): string => text.replace(CLASS, "$1 static name = '$2';")
