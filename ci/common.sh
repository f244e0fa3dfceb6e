# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
# shellcheck shell=bash
# What the scripts in this folder share. Sourced, not run.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for the scripts that source this
cache=$root/.cache
export LC_ALL=C.UTF-8
unset MAKEFLAGS CDPATH

# Progress goes to stderr, results to stdout. A trap may run while stderr is redirected, so it has a descriptor here.
exec {progress}>&2
say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&"$progress"; }
die() {
	say "error: $*"
	exit 1
}

# The comment block at the head of the script is its help.
usage() { sed -n '/^# Usage:/,/^[^#]/{ /^#/!q; s/^# \{0,1\}//; p; }' "$0"; }

child=    # process group of the command that runs now
ticker=
patient=  # set while the command must not be cut short

# For the EXIT trap: end what is still running.
stop_children() {
	local pid
	if [ -n "$child" ]; then
		# once, and to the one on top: a second signal would cut its cleaning up short
		[ -n "$patient" ] || kill -TERM "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
		kill -KILL -- "-$child" 2>/dev/null || true
	fi
	for pid in $ticker; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	child=''
	ticker=''
}

# Run a program in a process group of its own, so that a signal to this script can end all of it.
# bounded SECONDS COMMAND...
bounded() {
	local status=0
	setsid timeout --foreground -k 10 "$@" </dev/null &
	child=$!
	wait "$child" || status=$?
	[ "$status" -lt 124 ] || kill -KILL -- "-$child" 2>/dev/null || true
	child=
	return "$status"
}

# Run a program with its output in a log, saying every 20 seconds that it still runs; on failure show the log's end,
# unless `expected` is set.
# quietly LOG WHAT COMMAND...
quietly() {
	local log=$1 what=$2 start=$SECONDS status=0
	shift 2
	say "$what"
	mkdir -p "$(dirname "$log")"
	(
		exec {pause}<> <(:)
		while ! read -rt 20 -u "$pause"; do say "... still at it after $((SECONDS - start)) s: $what"; done
	) </dev/null &
	ticker=$!
	bounded 1800 "$@" >"$log" 2>&1 || status=$?
	kill "$ticker" 2>/dev/null || true
	wait "$ticker" 2>/dev/null || true
	ticker=
	if [ "$status" -ne 0 ] && [ -z "${expected-}" ]; then
		say "failed ($status): $what. The end of $log:"
		tail -n 25 "$log" >&2
	fi
	return "$status"
}

# The package revision of the strongSwan that is installed, empty if none is. installed_version [ROOT]
installed_version() {
	# shellcheck disable=SC2016 # dpkg-query's own variables
	dpkg-query --admindir="${1-}/var/lib/dpkg" -W -f '${db:Status-Status} ${Version}\n' strongswan-libcharon 2>/dev/null | sed -n 's/^installed //p'
}

# A root that ci/setup --root made has this file in it, with the version of the source that the plugin is built against.
root_ready=.btns-source-version

# One that ci/patched made has this one as well: of what and with which patches.
# shellcheck disable=SC2034
root_patched=.btns-patched

# The version of a configured source of strongSwan. upstream_version FOLDER
upstream_version() { sed -n 's/^#define VERSION "\(.*\)"/\1/p' "$1/config.h"; }

# The package revision of the strongSwan in a root, and that of the source if it is another one. root_version ROOT
root_version() {
	local installed source
	installed=$(installed_version "$1")
	source=$(cat "$1/$root_ready")
	printf '%s' "$installed"
	[ "$source" = "$installed" ] || printf ' (source of %s)' "$source"
}

ninja_targets=() # what is to be built of a folder, all if empty

# Configure a build folder if that was not done in the same way before, and build it. build FOLDER [MESON OPTION...]
build() {
	local dir=$root/$1 logs=$root/build/test-logs name=$1 made
	shift
	made="$* $(readlink "$cache/strongswan" || true) $(cat "$cache/strongswan/.made-for" 2>/dev/null || true)"
	if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.configured" 2>/dev/null)" != "$made" ]; then
		# a folder that was configured otherwise, or half, begins anew; logs stay
		[ ! -d "$dir" ] || find "$dir" -mindepth 1 -maxdepth 1 ! -name test-logs -exec rm -rf {} +
		quietly "$logs/configure-$name.log" "configuring $name/" meson setup "$dir" "$root" "$@" || return
		printf '%s' "$made" >"$dir/.configured"
	fi
	quietly "$logs/compile-$name.log" "compiling $name/" ninja -C "$dir" "${ninja_targets[@]}"
}

# Build the plugins for a root of .cache/roots, with its own compiler and against its own strongSwan, in
# build-roots/NAME. build_root NAME
build_root() { build_in_root "$1" "$1" "$cache/roots/$1/usr/src/strongswan"; }

# The same with the source of another root, or another state of its own, only what is tested to be refused:
# build_root_for NAME OTHER SOURCE
build_root_for() { build_in_root "$1" "$1-for-$2" "$3" plugins/btns/libstrongswan-btns.so; }

# Meson's options for what is built to be tested once: lines and no more for debuggers, which takes two thirds of the time.
light=(-Ddebug=false -Dcpp_args=-g1)

# build_in_root NAME FOLDER SOURCE [NINJA TARGET...]
build_in_root() {
	local place=$cache/roots/$1 name=$2 source=$3 dir=$root/build-roots/$2 logs=$root/build/test-logs made enter
	shift 3
	# the source has a place of its own, because the root may be another one's
	enter=("$root/ci/in-root" "$place" --bind "$root" /mnt --bind "$source" /media --)
	made="$(root_version "$place") $source"
	if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.configured" 2>/dev/null)" != "$made" ]; then
		[ ! -d "$dir" ] || find "$dir" -mindepth 1 -maxdepth 1 ! -name test-logs -exec rm -rf {} +
		quietly "$logs/configure-root-$name.log" "configuring build-roots/$name/" "${enter[@]}" \
			meson setup "/mnt/build-roots/$name" /mnt -Dplugin=enabled -Dtests=false -Dstrongswan_source=/media \
			-Dbtns_run=disabled -Dexamples=disabled "${light[@]}" || return
		# the core is the same for every source: what this root's compiler made of it is taken over, if it is there
		if [ "$name" != "${place##*/}" ] && [ -d "$root/build-roots/${place##*/}/plugins/core" ]; then
			cp -a "$root/build-roots/${place##*/}"/.ninja_{log,deps} "$dir/"
			cp -a "$root/build-roots/${place##*/}/plugins/core/." "$dir/plugins/core/"
		fi
		printf '%s' "$made" >"$dir/.configured"
	fi
	quietly "$logs/compile-root-$name.log" "compiling build-roots/$name/" "${enter[@]}" ninja -C "/mnt/build-roots/$name" "$@"
}

# What ci/demo, ci/test and ci/install all build.
build_plugin() { build build -Dplugin=enabled -Dbtnsctl=enabled; }
