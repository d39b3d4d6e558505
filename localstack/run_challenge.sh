#!/usr/bin/env bash
# The three classic scenarios against the local stack: two real Kafka clusters, the real functions, and a
# memory that is in DynamoDB only, because the functions' process is replaced between the steps.
#   localstack/run_challenge.sh [test1|test2|test3|status|logs|all]      default: all
#
#   test1    normal: 1,000 events arrive 1:1
#   test2    truncation: retention removes records before they were replicated
#   test3    reset: the topic is deleted and recreated
#   status   the stack, checkpoints and incidents
#   logs     the ends of the logs, and where they are
#
# Starts the stack where it does not run, and stops what it started. Ports: see npm run stack.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
npm run -s setup
export PATH=$PWD/node_modules/.bin:$PATH
exec node localstack/drills/challenge.ts "$@"
