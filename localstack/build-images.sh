#!/usr/bin/env bash
# Builds gapless's container image from infra/Dockerfile, for the compose file's producer and for a deployment.
#   localstack/build-images.sh [IMAGE]      default: $GAPLESS_IMAGE, or gapless:local
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
image=${1:-${GAPLESS_IMAGE:-gapless:local}}

fail() {
  echo "$1" >&2
  exit 1
}

command -v docker > /dev/null ||
  fail 'docker was not found, and images cannot be built without it. Install Docker; the local stack itself does not need it (npm run stack -- up).'
docker info > /dev/null 2>&1 ||
  fail 'No Docker engine answers ("docker info" fails), and images cannot be built without one. Start it; the local stack itself does not need it (npm run stack -- up).'
[[ -f $root/infra/Dockerfile ]] ||
  fail "$root/infra/Dockerfile is missing. Is this a whole clone?"

docker build --file "$root/infra/Dockerfile" --tag "$image" "$root"
echo "Built $image"
