#!/usr/bin/env bash
# The three classic scenarios against the local stack: two real Kafka clusters and the real functions. The
# functions' process is replaced between the steps, so that DynamoDB is their only memory.
#   localstack/run_challenge.sh [test1|test2|test3|status|logs|all]      default: all
#
#   test1    normal: 1,000 events arrive 1:1
#   test2    truncation: retention removes records before they are replicated
#   test3    reset: the topic is deleted and recreated
#   status   shows the stack, checkpoints and incidents
#   logs     shows the last lines of the logs, and the paths of the logs
#
# Starts the stack if it does not run, and stops what it started. Ports: see npm run stack.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
npm run -s setup
export PATH=$PWD/node_modules/.bin:$PATH
exec node localstack/drills/challenge.ts "$@"
