#!/bin/sh
# Written from queues.json: npm run localstack:init. Safe to repeat.
set -eu
if command -v awslocal >/dev/null; then aws=awslocal; else aws="aws --endpoint-url http://localhost:4566"; fi
queue() { $aws sqs create-queue --queue-name "$1" --attributes "$2" --query QueueUrl --output text; }
arn_of() { $aws sqs get-queue-attributes --queue-url "$1" --attribute-names QueueArn --query Attributes.QueueArn --output text; }

url=$(queue upesi-webhooks-dead '{"MessageRetentionPeriod":"1209600"}')
arn=$(arn_of "$url")
queue upesi-webhooks '{"VisibilityTimeout":"360","ReceiveMessageWaitTimeSeconds":"20","MessageRetentionPeriod":"345600","RedrivePolicy":"{\"deadLetterTargetArn\":\"'"$arn"'\",\"maxReceiveCount\":10}"}' >/dev/null

url=$(queue upesi-payments-dead '{"MessageRetentionPeriod":"1209600"}')
arn=$(arn_of "$url")
queue upesi-payments '{"VisibilityTimeout":"360","ReceiveMessageWaitTimeSeconds":"20","MessageRetentionPeriod":"345600","RedrivePolicy":"{\"deadLetterTargetArn\":\"'"$arn"'\",\"maxReceiveCount\":10}"}' >/dev/null
