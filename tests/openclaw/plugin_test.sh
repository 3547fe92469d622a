#!/usr/bin/env bash
# The plugin's own parts under Node.js' test runner.  tests/openclaw/plugin_test.sh [FOLDER]   (of an installed OpenClaw)
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -z "${1:-}" ] || export PATH="$1/node_modules/node/bin:$PATH"
version=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/' || true)
[ "${version:-0}" -ge 18 ] || { echo "skipped: the plugin's tests want Node.js 18 or later, and there is $(node --version 2>/dev/null || echo none)"; exit 77; }
exec node --test tests/openclaw/plugin.test.mjs
