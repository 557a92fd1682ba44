/**
 * Where V8's code of a role's scripts lies, below the role's folder. It is of one version of V8 and one architecture: another Node finds
 * no such folder and compiles for itself.
 */
export const COMPILED = `compiled/${process.versions.v8}-${process.arch}`

/** Of a script, by its name. */
export const compiledFile = (script: string): string => `${COMPILED}/${script.replace('.js', '.code')}`
