#!/usr/bin/env bash
# Holds the tree's own order: which folder may include which, who may touch which library, and what a line may look like.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
fault() { echo "tidy: $1" >&2; failed=1; }

declare -A may=(
  [base]="base" [proto]="proto base" [config]="config base" [bus]="bus proto base" [http]="http proto base" [ledger]="ledger config proto base"
  [journal]="journal base" [routing]="routing config base" [host]="host bus journal base"
  [broker]="broker host config bus http journal routing ledger proto base" [producers]="producers config bus http ledger proto base"
  [consumers]="consumers config bus http ledger proto base" [sandbox]="sandbox http proto base"
  [dispatch]="dispatch host config bus journal ledger proto base" [worker]="worker host config bus http ledger proto base"
  [cli]="cli producers config routing bus http ledger proto base"
)
while IFS=: read -r file line; do
  folder=${file%%/*}
  included=${line#*\"}
  included=${included%%/*}
  [ -n "${may[$folder]:-}" ] || continue
  [[ " ${may[$folder]} " == *" $included "* ]] || fault "$file includes $included/, which $folder may not know: $line"
done < <(git ls-files '*.h' '*.cc' | xargs grep -H '^#include "[a-z_]*/' | sed 's/:[0-9]*:/:/')

while IFS= read -r hit; do fault "ledger/repository knows git, and no log: $hit"; done < <(
  git ls-files 'ledger/repository/*' 'ledger/*.h' 'ledger/*.cc' | grep -v '^ledger/audit/' | xargs grep -nE '^#include "ledger/audit/' || true)

while IFS= read -r hit; do fault "ledger/tasks is plain text in and out: $hit"; done < <(
  git ls-files 'ledger/tasks/*' | xargs grep -nE '^#include ("ledger/(audit|repository)/|<git2)' || true)

while IFS= read -r hit; do fault "a channel's folder is known to itself alone: $hit"; done < <(
  git ls-files 'consumers/*.h' 'consumers/*.cc' | xargs grep -nE '^#include "consumers/[a-z_]+/' |
    awk -F: '{ folder = $1; sub("[^/]*$", "", folder); if (index($3, "\"" folder) == 0 || folder == "consumers/") print }' || true)

only() { # PATTERN FOLDER… : only these may include what matches
  local pattern=$1 file
  shift
  while IFS= read -r file; do
    [[ " $* tests bench " == *" ${file%%/*} "* ]] || fault "$file includes <$pattern>, which belongs to: $*"
  done < <(git ls-files '*.h' '*.cc' | xargs grep -lE "^#include <($pattern)" || true)
}
only 'zmq' bus
only 'git2' ledger
only 'boost/(beast|asio)' http
only 'cctz' base

while IFS= read -r hit; do fault "a heavy header in a header: $hit"; done < <(
  git ls-files '*.h' | grep -v '^tests/\|^bench/\|^http/session.h\|^bus/sockets.h\|^config/section.h' |
    xargs grep -nE '^#include <(boost/(beast|asio)|google/protobuf|toml\+\+|git2|zmq)|^#include ".*\.pb\.h"' || true)

while IFS= read -r hit; do fault "a line over 140 columns: ${hit%%:*}:$(cut -d: -f2 <<<"$hit")"; done < <(
  git ls-files '*.h' '*.cc' '*.proto' | xargs grep -nE '^.{141,}' || true)

while IFS= read -r hit; do fault "a word that does not belong here: $hit"; done < <(
  git ls-files '*.h' '*.cc' '*.proto' | grep -v '^tests/support/eventually.cc\|^bench/' | xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b|sleep_for|usleep\(' || true)

while IFS= read -r hit; do fault "a class with no name of its own: $hit"; done < <(
  git ls-files '*.h' | xargs grep -nE '^(class|struct) [A-Za-z]*(Manager|Helper|Util|Utils|Impl|Handler|Processor)\b' || true)

# What documents name is there: files by their paths, classes and functions by their names.
while IFS=: read -r file name; do
  compgen -G "$name*" >/dev/null || fault "$file names $name, which is not there"
done < <(git ls-files '*.md' | grep -v '^CHANGELOG' | xargs grep -oHE '`(base|bench|broker|bus|cli|config|consumers|deploy|docs|host|http|journal|ledger|producers|proto|routing|sandbox|script|tests)/[A-Za-z0-9_./*-]+`' |
  tr -d '`' | grep -v NAME)
while IFS=: read -r file name; do
  git grep -qwF -e "${name##*::}" -- '*.h' '*.cc' '*.proto' '*.py' || fault "$file names $name, which is not there"
done < <(git ls-files '*.md' | grep -v '^CHANGELOG' | xargs grep -oHE '`[A-Z][A-Za-z]+(::[A-Za-z_]+)?`' | tr -d '`' | grep -v ':TODO$')

[ $failed = 0 ] && echo "tidy"
exit $failed
