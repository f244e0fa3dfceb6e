# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of btns-run: its options, then a command as if it was the only one.

_btns_run() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} at
	for ((at = 1; at < COMP_CWORD; at++)); do
		case ${COMP_WORDS[at]} in
		--)
			_btns_run_command $((at + 1))
			return
			;;
		--log | --auth | --peer-key | --timeout | --except | --socket) ((at++)) ;;
		-*) ;;
		*)
			_btns_run_command "$at"
			return
			;;
		esac
	done
	case $previous in
	--auth) mapfile -t COMPREPLY < <(compgen -W 'any authenticated' -- "$word") ;;
	--log | --socket) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--peer-key | --timeout | --except) COMPREPLY=() ;;
	*)
		if [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '--require --report --log --auth --peer-key --no-encryption --narrow --wait --timeout --except
				--loopback --socket --help --version --' -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
		fi
		;;
	esac
}

# The words from there on are a command of its own.
_btns_run_command() {
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif ((COMP_CWORD == $1)); then
		mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
	fi
}

complete -F _btns_run btns-run
