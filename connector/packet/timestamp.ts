import { assert } from '../../shared/platform/index.ts'

/** `YYYYMMDDHHmmssSSS` in UTC, ASCII digits (RFC 27). */
export const TIMESTAMP_LENGTH = 17

function readDigits(bytes: Buffer, start: number, count: number): number {
  let value = 0
  for (let index = start; index < start + count; index++) {
    const digit = (bytes[index] ?? 0) - 48
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

const daysIn = (year: number, month: number): number => {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** The time at `start`, or undefined when it is not a time that exists (a leap second is not one here). */
export function readTimestamp(bytes: Buffer, start: number): Date | undefined {
  const year = readDigits(bytes, start, 4)
  const month = readDigits(bytes, start + 4, 2)
  const day = readDigits(bytes, start + 6, 2)
  const hour = readDigits(bytes, start + 8, 2)
  const minute = readDigits(bytes, start + 10, 2)
  const second = readDigits(bytes, start + 12, 2)
  const millisecond = readDigits(bytes, start + 14, 3)
  // Date.UTC would roll 31 February into March and take the years 0–99 for 1900–1999. NaN fails every comparison.
  const isDate = year >= 100 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
  if (!(isDate && hour <= 23 && minute <= 59 && second <= 59 && millisecond >= 0)) return undefined
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second, millisecond))
}

function writeDigits(bytes: Buffer, start: number, count: number, value: number): void {
  let rest = value
  for (let index = start + count - 1; index >= start; index--) {
    bytes[index] = 48 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

export function writeTimestamp(bytes: Buffer, start: number, date: Date): void {
  const year = date.getUTCFullYear()
  assert(year >= 100 && year <= 9999, 'an expiry has a year of four digits', date.getTime())
  writeDigits(bytes, start, 4, year)
  writeDigits(bytes, start + 4, 2, date.getUTCMonth() + 1)
  writeDigits(bytes, start + 6, 2, date.getUTCDate())
  writeDigits(bytes, start + 8, 2, date.getUTCHours())
  writeDigits(bytes, start + 10, 2, date.getUTCMinutes())
  writeDigits(bytes, start + 12, 2, date.getUTCSeconds())
  writeDigits(bytes, start + 14, 3, date.getUTCMilliseconds())
}
