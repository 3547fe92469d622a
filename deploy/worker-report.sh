#!/bin/sh
# What a worker says of itself, a line KEY=VALUE each; `detent worker status` runs it over SSH. Changes nothing.
#   worker-report.sh [PREFIX]
prefix=${1:-}
say() { printf '%s=%s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ')"; }
first() { "$@" 2>/dev/null | head -1; }
PATH=$prefix/usr/local/bin:$PATH

say host "$(hostname)"
say uptime "$(cut -d. -f1 /proc/uptime)"
# shellcheck disable=SC1091
say os "$(. /etc/os-release && echo "$PRETTY_NAME")"
say detent "$(first detent --version)"
say detent-worker "$(first detent-worker --version)"
say node "$(first node --version)"
say openclaw "$(first openclaw --version)"
say git "$(first git --version)"
say python3 "$(first python3 --version)"
if command -v systemctl >/dev/null; then
  say service "$(systemctl is-active openclaw-worker 2>/dev/null)"
  say enabled "$(systemctl is-enabled openclaw-worker 2>/dev/null)"
else
  say service "no systemd"
fi
say setup "$(test -e "$prefix/var/lib/detent-worker/setup" && echo complete)"
say memory-available "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
say disk-available "$(df -Pk "$prefix/var/lib" 2>/dev/null | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\([0-9]*\) .*/\1/p')"
{
  crontab -l 2>/dev/null
  cat "$prefix"/etc/cron.d/openclaw-worker 2>/dev/null
} | grep -vE '^[[:space:]]*(#|$|[A-Za-z_]+[[:space:]]*=)' | while IFS= read -r job; do say cron "$job"; done
exit 0
