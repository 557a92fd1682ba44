/**
 * Wallet addresses owns the public addresses of accounts, what is published about them, and their client keys. Always true here:
 * an address is a lower-case https URL below its owner's prefix, unique on the node, and never a path that the listener needs
 * itself; its asset belongs to the same tenant; active keys of one address have different `kid`s; money that packets brought to the
 * address itself is announced once, or not yet.
 */
export { normaliseAddress, normalisePath } from './address.ts'
export { findOrAwaitWalletAddress } from './await-wallet-address.ts'
export {
  announceWalletAddressCredits,
  findWalletAddressForPackets,
  triggerWalletAddressEvents,
} from './credits.ts'
export { WalletAddressRefusal, type WalletAddressRefusalCode } from './errors.ts'
export {
  createWalletAddressKey,
  listWalletAddressKeys,
  pageWalletAddressKeys,
  revokeWalletAddressKey,
} from './keys.ts'
export {
  type AdditionalProperty,
  isActive,
  type Jwk,
  type WalletAddress,
  type WalletAddressKey,
} from './model.ts'
export { inWalletAddresses, joinWalletAddress, toWalletAddress, walletAddressColumns } from './store.ts'
export {
  type CreateWalletAddressInput,
  createWalletAddress,
  findWalletAddress,
  findWalletAddressByUrl,
  getWalletAddress,
  listWalletAddresses,
  patchWalletAddressRow,
  type UpdateWalletAddressInput,
} from './wallet-addresses.ts'
export {
  findWalletAddressLiquidity,
  type WithdrawWalletAddressInput,
  withdrawWalletAddress,
} from './withdraw-wallet-address.ts'
