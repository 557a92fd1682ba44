/** `postgresql://user@…`, the user perhaps with an empty password. */
const WITHOUT_PASSWORD = /^(postgres(?:ql)?:\/\/[^@/?#:]+):?@/

/**
 * A connection string with `password`, so that the rest of it can stand in plain configuration. One that has a password keeps it. Throws
 * an Error for one without a user, who would be the system's.
 */
export function withDatabasePassword(url: string, password: string): string {
  if (/^postgres(?:ql)?:\/\/[^@/?#:]*:[^@/?#]+@/.test(url)) return url
  if (!WITHOUT_PASSWORD.test(url))
    throw new Error('goes with a URL that names a user: postgresql://user@host/database')
  return url.replace(WITHOUT_PASSWORD, (_whole, start: string) => `${start}:${encodeURIComponent(password)}@`)
}
