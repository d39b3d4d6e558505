#!/usr/bin/env bash
# Stops the local stack and deletes its data and logs in this clone (.gapless/). Asks for confirmation.
#   FORCE_CLEANUP=true   deletes without confirmation
#   SYSTEM_PRUNE=true    then also "docker system prune --force": every unused container, network and image, of
#                        all projects on this machine
#   PURGE_CACHE=true     also deletes the download cache (GAPLESS_CACHE, or ~/.cache/gapless)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
state=$root/.gapless
cache=${GAPLESS_CACHE:-$HOME/.cache/gapless}
export PATH=$root/node_modules/.bin:$PATH

echo "This stops the local stack and deletes $state"
[[ ${PURGE_CACHE:-} == true ]] && echo "and the download cache $cache"
[[ ${SYSTEM_PRUNE:-} == true ]] && echo 'and prunes Docker: everything that no container uses, of all projects on this machine'
if [[ ${FORCE_CLEANUP:-} != true ]]; then
  read -r -p 'Go on? [y/N] ' answer || answer=
  if [[ ! $answer =~ ^[yY] ]]; then
    echo 'Nothing was changed.'
    exit 1
  fi
fi

# A clone without node_modules never started a stack.
if [[ -d $root/node_modules ]]; then
  node "$root/localstack/stack.ts" down
fi
rm -rf -- "$state"
echo "Deleted $state"

if [[ ${PURGE_CACHE:-} == true ]]; then
  rm -rf -- "$cache"
  echo "Deleted $cache"
fi

if [[ ${SYSTEM_PRUNE:-} == true ]]; then
  if docker info > /dev/null 2>&1; then
    docker system prune --force
  else
    echo 'No Docker engine answers, so there is nothing to prune.'
  fi
fi
