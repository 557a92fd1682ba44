/**
 * A broker's queue of SQS. What each request costs and brings is in `requests.ts`; publishing (`send.ts`), consuming and dead letters
 * know nothing of one another, but that what cannot be worked on is buried.
 */
export { createSqsBroker } from './broker.ts'
export type { SqsBrokerOptions } from './requests.ts'
