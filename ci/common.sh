# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
# shellcheck shell=bash
# What the scripts in this folder share. Sourced, not run.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache
export LC_ALL=C.UTF-8
unset MAKEFLAGS CDPATH

# Progress goes to stderr, results to stdout.
say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() {
	say "error: $*"
	exit 1
}

# The comment block at the head of the script is its help.
usage() { sed -n '/^# Usage:/,/^[^#]/{ /^#/!q; s/^# \{0,1\}//; p; }' "$0"; }

# Run a command with its output in a log, saying every 20 seconds that it still runs; on failure show the log's end.
# quietly LOG WHAT COMMAND...
quietly() {
	local log=$1 what=$2 start=$SECONDS status=0 ticker
	shift 2
	say "$what"
	mkdir -p "$(dirname "$log")"
	(while sleep 20; do say "... still at it after $((SECONDS - start)) s: $what"; done) </dev/null &
	ticker=$!
	"$@" >"$log" 2>&1 </dev/null || status=$?
	kill "$ticker" 2>/dev/null || true
	wait "$ticker" 2>/dev/null || true
	if [ "$status" -ne 0 ]; then
		say "failed ($status): $what. The end of $log:"
		tail -n 25 "$log" >&2
	fi
	return "$status"
}

# The package revision of the strongSwan that is installed, empty if none is.
installed_version() {
	# shellcheck disable=SC2016 # dpkg-query's own variables
	dpkg-query -W -f '${db:Status-Status} ${Version}\n' strongswan-libcharon 2>/dev/null | sed -n 's/^installed //p'
}

# Configure a build folder and build it. build FOLDER [MESON OPTION...]
build() {
	local dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		quietly "$root/build/test-logs/meson-$(basename "$dir").log" "configuring $(basename "$dir")/" \
			meson setup "$dir" "$root" "$@"
	fi
	quietly "$root/build/test-logs/ninja-$(basename "$dir").log" "building $(basename "$dir")/" ninja -C "$dir"
}
