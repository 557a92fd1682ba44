// The emulators' init script, written from queues.json: it runs inside their images, which have the AWS CLI and nothing of ours.
import { brokerQueues, sqsAttributes } from './queues.ts'

const quoted = (attributes: Record<string, string>) => `'${JSON.stringify(attributes)}'`

function commandsOf(queue: (typeof brokerQueues)[number]): string[] {
  const arn = 'ARN-OF-THE-DEAD-LETTERS'
  // The ARN is known when the dead-letter queue is there; the quotes are left for it.
  const attributes = quoted(sqsAttributes(queue, arn)).replace(arn, `'"$arn"'`)
  return [
    `url=$(queue ${queue.deadLetter.name} ${quoted(sqsAttributes(queue))})`,
    'arn=$(arn_of "$url")',
    `queue ${queue.name} ${attributes} >/dev/null`,
  ]
}

export const initScript = (): string =>
  [
    '#!/bin/sh',
    '# Written from queues.json: npm run localstack:init. Safe to repeat.',
    'set -eu',
    'if command -v awslocal >/dev/null; then aws=awslocal; else aws="aws --endpoint-url http://localhost:4566"; fi',
    'queue() { $aws sqs create-queue --queue-name "$1" --attributes "$2" --query QueueUrl --output text; }',
    'arn_of() { $aws sqs get-queue-attributes --queue-url "$1" --attribute-names QueueArn --query Attributes.QueueArn --output text; }',
    ...brokerQueues.flatMap((queue) => ['', ...commandsOf(queue)]),
    '',
  ].join('\n')
