#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What the device says of itself, and that it counts what is open.
# limit: 60
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin

has() { grep -Eq "$2" "$tmp/$1" || { echo "$1: nothing matches: $2"; return 1; }; }

devinfo() {
	node_exec "$1" ibv_devinfo -v -d "$PCV_DEV" >"$tmp/devinfo" || return 1
	has devinfo 'state:[[:space:]]*PORT_ACTIVE' &&
		has devinfo 'link_layer:[[:space:]]*Ethernet' &&
		has devinfo 'vendor_id:[[:space:]]*0x0*[1-9a-f]' &&
		has devinfo 'node_guid:[[:space:]]*[0-9a-f:]*[1-9a-f]' &&
		has devinfo 'sys_image_guid:[[:space:]]*[0-9a-f:]*[1-9a-f]' &&
		has devinfo 'GID\[ *[0-9]+\]:[[:space:]]*::ffff:[0-9.]+, RoCE v2' &&
		has devinfo 'max_srq:[[:space:]]*[1-9]' &&
		has devinfo 'max_sge:[[:space:]]*(1[6-9]|[2-9][0-9]|[0-9]{3})' &&
		has devinfo 'max_msg_sz:[[:space:]]*0x[0-9a-f]{5}' &&
		has devinfo 'atomic_cap:[[:space:]]*ATOMIC_(HCA|GLOB)' &&
		has devinfo 'max_pkeys:[[:space:]]*[1-9]'
}

guid() { node_exec "$1" ibv_devinfo -d "$PCV_DEV" | awk '/node_guid/ { print $2 }'; }
guids_differ() {
	echo "$(guid node0) $(guid node1)"
	[ -n "$PCV_LOCAL" ] || [ "$(guid node0)" != "$(guid node1)" ]
}

link() {
	node_exec "$1" rdma link show >"$tmp/link"
	has link "link $PCV_DEV/1 state ACTIVE physical_state LINK_UP netdev $PCV_NETDEV"
}

# Counted while a program holds them, back to the idle count after it.
counts_what_is_open() {
	local idle open pid
	idle=$(resources node0)
	echo "idle: $idle"
	case $idle in *" pd "*" cq "*" qp "*) ;; *) return 1 ;; esac
	start_on node0 "$tmp/server" timeout $((40 * PCV_SLOW)) ibv_rc_pingpong -d "$PCV_DEV" -g "$(gid_index node0)"
	pid=$started
	wait_until 20 listening node0 18515 || return 1
	open=$(resources node0)
	echo "open: $open"
	kill "$pid"
	finish "$pid" 20
	[ "$open" != "$idle" ] && idle_again node0 "$idle"
}

for node in node0 node1; do
	step "ibv_devinfo on $node" devinfo $node
	step "rdma link on $node" link $node
	step "GID index on $node" gid_index $node
done
step "GUIDs differ" guids_differ
step "rdma resource" counts_what_is_open
case_end
