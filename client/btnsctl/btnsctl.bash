# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# bash completion for btnsctl

_btnsctl() {
	local current previous command='' word
	COMPREPLY=()
	current=${COMP_WORDS[COMP_CWORD]}
	previous=${COMP_WORDS[COMP_CWORD - 1]}
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in
		status | peers | pad | bindings | latches | stats | monitor | explain | doctor | keygen | init)
			command=$word
			break
			;;
		esac
	done

	case $previous in
	--uri | --fingerprint | --id | --local-id | --local | --remote | --local-ts | --remote-ts | --virtual-ip | --pin | --child | \
		--connection | --initiate | --flow | --close)
		return
		;;
	--swanctl-dir | --root)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return
		;;
	--key)
		[ "$command" = init ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--type)
		mapfile -t COMPREPLY < <(compgen -W "ed25519 ed448 ecdsa256 ecdsa384 ecdsa521 rsa2048 rsa3072 rsa4096" -- "$current")
		return
		;;
	--auth)
		mapfile -t COMPREPLY < <(compgen -W "signature psk eap null" -- "$current")
		return
		;;
	--encoding)
		mapfile -t COMPREPLY < <(compgen -W "spki pkcs1 x509 openiked-ec" -- "$current")
		return
		;;
	--state)
		mapfile -t COMPREPLY < <(compgen -W "listener larval established broken" -- "$current")
		return
		;;
	--mode)
		mapfile -t COMPREPLY < <(compgen -W "tunnel transport" -- "$current")
		return
		;;
	esac

	local common="--uri --json --swanctl-dir --root --help" options=''
	case $command in
	'') options="status peers pad bindings latches stats monitor explain doctor keygen init --version" ;;
	peers) options="--connection" ;;
	bindings) options="--child --flow" ;;
	latches) options="--state --close" ;;
	stats) options="--prometheus --all" ;;
	monitor) options="--all" ;;
	explain)
		options="--local --id --local-id --key --encoding --fingerprint --auth --local-ts --remote-ts --virtual-ip --mode --initiate"
		;;
	doctor) options="--strict" ;;
	keygen) options="--type --name" ;;
	init)
		options="--name --key --type --local --remote --pin --child --local-ts --remote-ts --transport --encap --trap --dry-run"
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$options $common" -- "$current")
}

complete -F _btnsctl btnsctl
