/** The fields that are there: absent ones (SQL null, `undefined`) are left out, as types with exact optional properties and wire shapes want. */
export function present<T extends Record<string, unknown>>(
  fields: T,
): { [K in keyof T]?: NonNullable<T[K]> } {
  const result: { [K in keyof T]?: NonNullable<T[K]> } = {}
  for (const key of Object.keys(fields) as (keyof T)[]) {
    const value = fields[key]
    if (value !== undefined && value !== null) result[key] = value as NonNullable<T[keyof T]>
  }
  return result
}
