#!/usr/bin/env bash
# Makes a worker of this machine (Ubuntu 24.04, Debian 12 or newer; root). `detent worker provision` runs it over SSH; by hand:
#   bash worker-setup.sh --package detent-worker-linux-x86_64.tar.gz --unit openclaw-worker.service
#
#   --package FILE    Detent's programs and their libraries, as script/package-worker makes it; without: those there stay
#   --unit FILE       the systemd unit openclaw-worker
#   --name NAME       what the worker is called (the host's name)
#   --connect URL     where the dispatcher listens (tcp://127.0.0.1:7410)
#   --broker URL      where the broker listens; with it the worker's cron sends a heartbeat.ok every 5 minutes
#   --node VERSION    (24.21.0)          --node-dist URL    where it comes from (https://nodejs.org/dist)
#   --openclaw VERSION (2026.9.6)        --registry URL     npm's (as npm is set up)
#   --skip-packages   installs neither Debian packages nor Node.js nor OpenClaw: an image has them, or something else keeps them
#   --prefix DIR      below DIR in place of /, to prepare or try a root; makes no user and does not touch systemd
#
# A second run changes nothing and says so. Secrets are expected in /etc/detent (0600) and are never printed.
# Output: a line a step, "ok: …" or "changed: …"; the last line counts the changes.
set -euo pipefail
umask 022

package='' unit='' name=$(hostname) connect=tcp://127.0.0.1:7410 broker='' prefix='' skip_packages=''
node=24.21.0 node_dist=https://nodejs.org/dist openclaw=2026.9.6 registry=''
while [ $# -gt 0 ]; do
  case $1 in
    --package) package=$2; shift ;;
    --unit) unit=$2; shift ;;
    --name) name=$2; shift ;;
    --connect) connect=$2; shift ;;
    --broker) broker=$2; shift ;;
    --node) node=$2; shift ;;
    --node-dist) node_dist=$2; shift ;;
    --openclaw) openclaw=$2; shift ;;
    --registry) registry=$2; shift ;;
    --prefix) prefix=${2%/}; shift ;;
    --skip-packages) skip_packages=1 ;;
    --help | -h) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "worker-setup: unknown option $1: see --help" >&2; exit 2 ;;
  esac
  shift
done

changes=0
ok() { echo "ok: $1"; }
changed() { changes=$((changes + 1)); echo "changed: $1"; }
fail() { echo "worker-setup: $1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "root is needed"

etc=$prefix/etc/detent home=$prefix/var/lib/detent opt=$prefix/opt bin=$prefix/usr/local/bin
user=detent
[ -z "$prefix" ] || user=$(id -un)
# as_user COMMAND…: as who the worker runs as, with its home and little else
as_user() {
  if [ "$user" = "$(id -un)" ]; then env HOME="$home" GIT_TERMINAL_PROMPT=0 "$@"; else runuser -u "$user" -- env HOME="$home" GIT_TERMINAL_PROMPT=0 "$@"; fi
}
# put FILE MODE OWNER: standard input becomes the file, where it is another
put() {
  local new
  new=$(mktemp "$1.XXXXXX")
  cat >"$new"
  chmod "$2" "$new"
  chown "$3" "$new"
  if cmp -s "$new" "$1" && [ "$(stat -c '%a %U' "$1")" = "$(stat -c '%a %U' "$new")" ]; then
    rm -f "$new"
    ok "$1"
  else
    mv -f "$new" "$1"
    changed "$1"
  fi
}
# link TARGET LINK
link() {
  [ "$(readlink "$2" 2>/dev/null || true)" = "$1" ] && return
  ln -sfn "$1" "$2"
  changed "$2 -> $1"
}

# ---- packages

if [ -n "$skip_packages" ]; then
  ok "packages: left alone (--skip-packages)"
else
  export DEBIAN_FRONTEND=noninteractive
  missing=()
  for one in git python3 ca-certificates curl xz-utils bubblewrap cron; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' $one 2>/dev/null)" = installed ] || missing+=("$one")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    ok "packages"
  else
    # A droplet's first boot has apt at work by itself: wait for its lock.
    apt-get -qq -o DPkg::Lock::Timeout=600 update
    apt-get -qq -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "${missing[@]}" >/dev/null
    changed "packages: ${missing[*]}"
  fi

  # Node.js as its makers build it: those of the distributions are too old for OpenClaw, and with one of them npm installs an
  # empty openclaw 0.0.1 without a word.
  case $(uname -m) in x86_64) machine=x64 ;; aarch64) machine=arm64 ;; *) fail "there is no Node.js for $(uname -m)" ;; esac
  root=$opt/node-v$node-linux-$machine
  if [ "$("$root/bin/node" --version 2>/dev/null || true)" = "v$node" ]; then
    ok "Node.js $node"
  else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    file=node-v$node-linux-$machine.tar.xz
    curl -fsSL --retry 3 -o "$work/$file" "$node_dist/v$node/$file"
    curl -fsSL --retry 3 -o "$work/sums" "$node_dist/v$node/SHASUMS256.txt"
    (cd "$work" && grep " $file\$" sums | sha256sum -c --quiet -) || fail "$file does not have the sum that $node_dist names"
    mkdir -p "$opt"
    rm -rf "$root"
    tar -xJf "$work/$file" -C "$opt" --no-same-owner
    [ "$("$root/bin/node" --version)" = "v$node" ] || fail "$root/bin/node does not run"
    changed "Node.js $node"
  fi
  mkdir -p "$bin"
  for one in node npm npx; do link "$root/bin/$one" "$bin/$one"; done

  export PATH=$root/bin:$PATH
  if [[ "$("$root/bin/openclaw" --version 2>/dev/null || true)" == *" $openclaw"* ]]; then
    ok "OpenClaw $openclaw"
  else
    npm install --global --ignore-scripts --no-fund --no-audit --no-update-notifier --loglevel=error ${registry:+--registry "$registry"} "openclaw@$openclaw" >/dev/null
    said=$("$root/bin/openclaw" --version)
    [[ $said == *" $openclaw"* ]] || fail "npm installed \"$said\" in place of OpenClaw $openclaw"
    changed "OpenClaw $openclaw"
  fi
  link "$root/bin/openclaw" "$bin/openclaw"
fi

# ---- who it runs as, and where

if [ -n "$prefix" ]; then
  ok "user: none made (--prefix)"
elif getent passwd detent >/dev/null; then
  ok "user detent"
else
  useradd --system --home-dir /var/lib/detent --shell /usr/sbin/nologin detent
  changed "user detent"
fi
mkdir -p "$etc" "$home" "$opt" "$bin" "$prefix/etc/systemd/system" "$prefix/etc/cron.d"
chown "$user" "$home"
chmod 750 "$home"

# ---- Detent's programs

if [ -n "$package" ]; then
  version=$(sha256sum "$package" | cut -c1-16)
  root=$opt/detent-$version
  if [ -x "$root/bin/detent" ]; then
    ok "Detent $version"
  else
    rm -rf "$root.new"
    mkdir -p "$root.new"
    tar -xzf "$package" -C "$root.new" --strip-components=1 --no-same-owner
    "$root.new/bin/detent" --version >/dev/null || fail "the programs of $package do not run here"
    mv "$root.new" "$root"
    changed "Detent $version"
  fi
  for one in "$root"/bin/*; do link "$one" "$bin/${one##*/}"; done
fi

# ---- its role and its config; a config that is there is the operator's

put "$etc/worker.env" 644 "$user" <<EOF
# Read by the unit openclaw-worker. No secrets: those are files of their own in /etc/detent.
ROLE=worker
DETENT_CONFIG=$etc/detent.toml
OPENCLAW_NO_RESPAWN=1
NODE_COMPILE_CACHE=$home/node-compile-cache
EOF
if [ -e "$etc/detent.toml" ]; then
  ok "$etc/detent.toml: kept as it is"
else
  put "$etc/detent.toml" 644 root <<EOF
# The worker $name. No Telegram and no Discord here: it takes tasks and gives results. See detent.example.toml.
state = "$home"
${broker:+
[broker]
listen = "$broker"
}
[worker]
name = "$name"
connect = "$connect"
concurrency = 1 # an attempt of OpenClaw takes 1.5 GB

[runner.openclaw]
command = ["openclaw", "agent", "exec", "--json", "--message-file", "{prompt_file}"]
EOF
fi

# ---- the workspace, where pawl-github.env is there

secrets=$etc/pawl-github.env
if [ -e "$secrets" ]; then
  [ "$(stat -c '%a' "$secrets")" = 600 ] || { chmod 600 "$secrets"; changed "$secrets: mode 600"; }
  # value NAME: read as text, never run
  value() { sed -n "s/^\(export \)\{0,1\}$1=[\"']\{0,1\}\([^\"']*\)[\"']\{0,1\}\$/\2/p" "$secrets" | tail -1; }
  repo=$(value GITHUB_REPO)
  case $repo in
    *://*) ;;
    *) repo=https://github.com/${repo%.git}.git ;;
  esac
  host=${repo#*://} host=${host%%/*}
  # The token is in a file of git's own form that git's credential helper reads: in no command line, in no remote's URL.
  put "$etc/git-credentials" 600 "$user" < <(printf 'https://%s:%s@%s\n' "$(value GITHUB_USER)" "$(value GITHUB_TOKEN)" "${host:-github.com}")
  put "$home/.gitconfig" 644 "$user" <<EOF
[user]
	name = $(value GITHUB_USER)
	email = $(value GITHUB_EMAIL)
[credential]
	helper = store --file $etc/git-credentials
[safe]
	directory = $home/workspace
EOF
  if [ -d "$home/workspace/.git" ]; then
    ok "workspace: $(as_user git -C "$home/workspace" remote get-url origin)"
  else
    as_user git clone --quiet "$repo" "$home/workspace"
    changed "workspace: $repo"
  fi
else
  ok "workspace: none ($secrets is not there)"
fi

# ---- secrets that runners may list, each a file of its own

for one in "$etc"/secrets/*; do
  [ -f "$one" ] || continue
  [ "$(stat -c '%a %U' "$one")" = "600 $user" ] && ok "$one" && continue
  chown "$user" "$one"
  chmod 600 "$one"
  changed "$one"
done

# ---- the service, installed and not started; its cron

if [ -n "$unit" ]; then
  before=$changes
  put "$prefix/etc/systemd/system/openclaw-worker.service" 644 root <"$unit"
  if [ $changes -gt $before ] && [ -z "$prefix" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi
if [ -n "$broker" ]; then
  put "$prefix/etc/cron.d/openclaw-worker" 644 root <<EOF
# While the worker runs it says so; silence is an alarm on the other side.
PATH=/usr/local/bin:/usr/bin:/bin
DETENT_CONFIG=$etc/detent.toml
*/5 * * * * $user systemctl is-active --quiet openclaw-worker && detent publish heartbeat.ok "$name is up" --source "$name" >/dev/null
EOF
fi

mkdir -p "$prefix/var/lib/detent-worker"
put "$prefix/var/lib/detent-worker/setup" 644 root <<EOF
name=$name
connect=$connect
EOF
if [ $changes = 0 ]; then echo "nothing changed"; else echo "$changes changed"; fi
