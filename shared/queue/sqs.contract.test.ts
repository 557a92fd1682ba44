import { queueContract } from './contract.ts'

queueContract('sqs')
