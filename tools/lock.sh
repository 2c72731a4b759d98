#!/bin/sh
# Writes the lock files from pyproject.toml: hashes for every file of every platform, and no addresses.
set -eu
cd "$(dirname "$0")/.."
options="--universal --generate-hashes --no-annotate --no-header --quiet"
uv pip compile pyproject.toml --group build $options -o requirements.lock
uv pip compile pyproject.toml --group build --group dev $options -c requirements.lock -o requirements-dev.lock
uv pip compile pyproject.toml --group build --group dev --group examples $options -c requirements-dev.lock \
  -o requirements-examples.lock
# Of an environment of its own: what generates clients is nothing that the service or its tests are made with.
uv pip compile --group clients $options -o requirements-clients.lock
