#!/usr/bin/env bash
# Builds the image of the functions from build/image (npm run package), pushes it, and prints its name with digest for the parameter
# `image` of serverless.yml.
#   infra/build-image.sh REPOSITORY      ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME
#   BASE=public.ecr.aws/lambda/nodejs@sha256:...   the base image, by digest; default: the digest that the tag 24 names now
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
context=$root/build/image
base_tag=public.ecr.aws/lambda/nodejs:24
architecture=linux/arm64

fail() {
  echo "$1" >&2
  exit 1
}

repository=${1:-}
[[ $repository =~ ^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/[a-z0-9._/-]+$ ]] ||
  fail "REPOSITORY is \"$repository\", expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME, without a tag."
[[ -f $context/Dockerfile ]] ||
  fail "$context has no Dockerfile. Run: npm run package -- --config YOUR.yml"
docker buildx version > /dev/null 2>&1 ||
  fail 'docker buildx was not found, and building the image needs it. Install Docker with buildx.'

base=${BASE:-}
if [[ -z $base ]]; then
  # The digest of the manifest list, which covers all architectures.
  digest=$(docker buildx imagetools inspect "$base_tag" --format '{{.Manifest.Digest}}') ||
    fail "The registry did not return the digest of $base_tag. Log in or go online, or give BASE=...@sha256:..."
  base=${base_tag%:*}@$digest
fi
[[ $base =~ @sha256:[0-9a-f]{64}$ ]] ||
  fail "BASE is \"$base\", expected a name with @sha256: and 64 digits: a tag may name another image tomorrow."

metadata=$(mktemp)
trap 'rm -f "$metadata"' EXIT
# Lambda accepts a single image manifest only, not a list with provenance attestations.
docker buildx build --platform "$architecture" --provenance=false --sbom=false --build-arg "BASE=$base" \
  --metadata-file "$metadata" --push --tag "$repository:$(date -u +%Y%m%dT%H%M%SZ)" "$context" >&2

pushed=$(sed -n 's/.*"containerimage\.digest": *"\(sha256:[0-9a-f]\{64\}\)".*/\1/p' "$metadata")
[[ -n $pushed ]] || fail "docker buildx did not report the digest of the image that it pushed (--metadata-file)."
echo "Base image: $base" >&2
echo "$repository@$pushed"
