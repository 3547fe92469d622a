#!/usr/bin/env bash
# Puts the real OpenClaw and the Node.js that it wants into FOLDER, once. Exits 77 with one line where there is no way to get
# them, 1 where getting them fails.
#   tests/openclaw/install.sh FOLDER
set -euo pipefail
node=24 openclaw=2026.9.6
folder=$1
mkdir -p "$folder"
cd "$folder"
exec 9>lock
flock 9

export PATH="$PWD/node_modules/node/bin:$PATH"
# With an older Node.js npm installs a version of OpenClaw that is an empty placeholder, and says nothing.
right_node() { [[ $(node --version 2>/dev/null) == v$node.* ]]; }
right_openclaw() { [[ $(node node_modules/openclaw/openclaw.mjs --version 2>/dev/null) == "OpenClaw $openclaw "* ]]; }
[ "$(cat installed 2>/dev/null)" = "$node $openclaw" ] && right_node && exit 0

skip() { echo "the real OpenClaw is not at hand: $1"; exit 77; }
command -v npm >/dev/null || skip "there is no npm to get it with"
timeout 30 npm view "openclaw@$openclaw" version >view.log 2>&1 ||
  skip "npm does not reach its registry ($(grep -m1 . view.log | cut -c1-100 || echo no answer within 30 s))"
fail() { echo "tests/openclaw/install.sh: $1:"; tail -n 20 install.log; exit 1; }
[ -f package.json ] || echo '{"private": true}' >package.json
npm install --no-audit --no-fund "node@$node" >install.log 2>&1 || fail "npm cannot install node@$node"
right_node || fail "node@$node was installed, and node --version says $(node --version 2>&1)"
npm install --no-audit --no-fund --ignore-scripts "openclaw@$openclaw" >install.log 2>&1 || fail "npm cannot install openclaw@$openclaw"
right_openclaw || fail "openclaw@$openclaw was installed, and its --version says otherwise"
echo "$node $openclaw" >installed
