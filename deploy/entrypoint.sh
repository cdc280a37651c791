#!/bin/sh
# "server" alone reads /vault/config and VAULT_LOCAL_CONFIG; anything else is a command line of its own.
set -eu

if [ "${1:-}" = "server" ] && [ $# -eq 1 ]; then
  config="${VAULT_CONFIG_FOLDER:-/vault/config}"
  if [ -n "$(ls -A "$config" 2>/dev/null)" ]; then
    exec vault server -config="$config"
  fi
  exec vault server
fi
case "${1:-}" in
  -*) exec vault "$@" ;;
  vault | coffer) exec "$@" ;;
  *) exec vault "$@" ;;
esac
