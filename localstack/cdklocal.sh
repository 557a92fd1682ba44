#!/bin/sh
# `cdk` against the emulator: cdklocal.sh bootstrap, cdklocal.sh deploy Upesi-Queues. The CDK finds AWS by these variables; any
# account and region will do there. What the emulator lacks (RDS, ElastiCache, Fargate in the open images) it cannot deploy.
set -eu
cd "$(dirname "$0")/../infra/cdk"
: "${AWS_ENDPOINT_URL:=http://localhost:4566}"
: "${AWS_ENDPOINT_URL_S3:=http://s3.localhost.localstack.cloud:4566}"
: "${AWS_ACCESS_KEY_ID:=test}" "${AWS_SECRET_ACCESS_KEY:=test}" "${AWS_REGION:=us-east-1}"
export AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION
export AWS_DEFAULT_REGION="$AWS_REGION"
case "$AWS_ENDPOINT_URL" in
  *amazonaws.com*) echo "AWS_ENDPOINT_URL is AWS itself, not an emulator" >&2; exit 1 ;;
esac
exec ../../node_modules/.bin/node node_modules/aws-cdk/bin/cdk "$@" -c "config=${UPESI_CONFIG:-examples/small.json}"
