# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# What the cases of the NTB driver share. They bring up a lab of their own with
# no modules in it, since they load the driver and Linux's NTB clients
# themselves; PCV_LAB_NAME only says which kernel (plain or debug) to use, and
# PCV_LAB_BACKEND which kind of nodes. PCV_MODULES names a directory with modules
# that were built elsewhere.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ntb_nodes=2
ntb_up=()	# more for `lab up`
ntb_debug=
ntb_modules=

# ntb_begin [NODES]
ntb_begin() {
	ntb_nodes=${1:-2}
	[ -z "$PCV_LOCAL" ] || { echo "skip: needs nodes"; exit 77; }
	case " ${PCV_LAB_ARGS:-} " in *" --debug "*) ntb_debug=--debug ;; esac
	if [ -n "${PCV_LAB_NAME:-}" ] &&
		node_exec node0 uname -r 2>/dev/null | grep -q debug; then
		ntb_debug=--debug
	fi
	[ -z "$ntb_debug" ] || [ "$PCV_SLOW" -ge 4 ] || PCV_SLOW=4
	PCV_LAB_NAME=$case_name-$$
	tmp=$(mktemp -d)
	trap 'ntb_end_logs; case_cleanup' EXIT
	trap 'exit 130' INT TERM
	if [ -n "${PCV_MODULES:-}" ]; then
		ntb_modules=$PCV_MODULES
	else
		ntb_modules=$("$top/lab/modules" $ntb_debug) || die "the modules do not build"
	fi
	"$lab" up --name "$PCV_LAB_NAME" -n "$ntb_nodes" --no-modules $ntb_debug "${ntb_up[@]}" >&2 ||
		die "the lab did not come up"
	case_own_lab=1
}

# The consoles go with the lab; a failure wants them.
ntb_end_logs() {
	local i
	[ "$case_failed" -gt 0 ] && [ -n "$case_own_lab" ] || return 0
	for ((i = 0; i < ntb_nodes; i++)); do
		echo "--- console of node$i"
		"$lab" dmesg --name "$PCV_LAB_NAME" "node$i" | tail -n 40
	done
}

ntb_finish() {
	[ -z "$ntb_debug" ] ||
		step "no leaks" "$lab" --name "$PCV_LAB_NAME" check --leaks
	case_end
}

ntb_each() {
	local i
	for ((i = 0; i < ntb_nodes; i++)); do
		"$@" "node$i" || return 1
	done
}

ntb_load() { node_exec "$1" /run/lab/load-bridge "$ntb_modules"; }

ntb_unload() { node_exec "$1" /run/lab/load-bridge --unload; }

# The NTB device that leads to node number $1.
ntb_device() {
	case ${PCV_LAB_BACKEND:-uml} in
	uml) echo "0000:01:0$1.0" ;;
	qemu) echo "0000:00:1$1.0" ;;
	esac
}

# client_load CLIENT [PARAMETER…], client_unload CLIENT: on all nodes
client_load() {
	local i
	for ((i = 0; i < ntb_nodes; i++)); do
		client_load_on "node$i" "$@" || return 1
	done
}

client_load_on() {
	local node=$1 client=$2
	shift 2
	node_exec "$node" modprobe "$client" "$@"
}

client_unload() {
	local i
	for ((i = 0; i < ntb_nodes; i++)); do
		node_exec "node$i" rmmod "$@" || return 1
	done
}

# tool NODE SCRIPT: in the directory of ntb_tool's (only) device
tool() { node_sh "$1" "cd /sys/kernel/debug/ntb_tool/* && $2"; }

# tool_link NODE Y|N SECONDS: blocks until the link is so
tool_link() {
	tool "$1" "timeout $(($3 * PCV_SLOW)) sh -c 'echo $2 >peer0/link_event' && grep -q $2 peer0/link"
}

# The process that keeps a node and the node's kernel, as the lab wrote them down.
lab_state() { echo "${XDG_RUNTIME_DIR:-/tmp}/pcieverbs-$(id -u)/$PCV_LAB_NAME"; }

# node_kill NODE: as if its power had failed.
node_kill() { "$lab" --name "$PCV_LAB_NAME" kill "$1"; }
node_boot() { "$lab" --name "$PCV_LAB_NAME" start "$1"; }
