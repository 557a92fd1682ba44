/**
 * Access owns what a token may do: items of type, actions, wallet address and limits, and when one item covers what a resource
 * server asks about. Matching goes one way only: what is granted may be wider than what is wanted, never narrower.
 */
export {
  type AccessItem,
  type AccessType,
  covers,
  parseAccess,
  toWireAccess,
  type WantedAccess,
} from './model.ts'
export { accessSql, toAccess } from './store.ts'
