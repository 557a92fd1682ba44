import { randomBytes } from 'node:crypto'
import { type Asset, createAsset, depositAssetLiquidity } from '../assets/index.ts'
import type {
  ConnectorClient,
  ProbeResult,
  RateInput,
  SendInput,
  SendResult,
} from '../connector-client/index.ts'
import { ConnectorRefusal } from '../connector-client/index.ts'
import type { GrantsClient, RemoteRequest } from '../grants-client/index.ts'
import { createIncomingPayment, incomingPaymentUrl } from '../incoming-payments/index.ts'
import { createPostgresLedger, type Ledger, transferCode } from '../ledger/index.ts'
import { convertCeil, identityRate, invertRate, minimum, parseRate, type Rate, rate } from '../money/index.ts'
import { createPaymentMethods, type PaymentMethods } from '../payment-methods/index.ts'
import {
  type Cache,
  createCache,
  createDb,
  createSecretBox,
  type DbPool,
  deriveId,
  Fault,
  type HttpResponse,
  type Logger,
  type SecretBox,
  silentLogger,
  sql,
  uuidv7,
} from '../platform/index.ts'
import type { Job, JobHandler, QueueName } from '../queue/index.ts'
import { claimJobs, finishJobs } from '../queue/store.ts'
import { createTenant, ensureOperatorTenant } from '../tenants/index.ts'
import { createWalletAddress, type WalletAddress } from '../wallet-addresses/index.ts'
import { type TestClock, testClock } from './clock.ts'
import { createTestDatabase } from './database.ts'
import { waitFor } from './wait-for.ts'
