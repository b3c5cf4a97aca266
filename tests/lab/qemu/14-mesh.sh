#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Three nodes, each joined to each: every pair both ways, all pairs at once, and
# MPI over all three. In a lab of its own.
# limit: 300
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
[ -z "$PCV_LOCAL" ] || { echo "skip: needs nodes"; exit 77; }
PCV_LAB_NAME=mesh-$$
case_own_lab=1
case_begin
nodes=(node0 node1 node2)

"$lab" --name "$PCV_LAB_NAME" up -n 3 >&2 || die "the lab did not come up"

address() { echo "10.77.0.$((${1#node} + 1))"; }

devinfo() {
	node_exec "$1" ibv_devinfo -v -d "$PCV_DEV" | grep -E 'state:.*PORT_ACTIVE' &&
		[ "$(node_sh "$1" 'grep -c "^name=node.* state=ACTIVE" /sys/kernel/debug/pcieverbs/peers')" = 2 ]
}

guids_differ() {
	local node
	for node in "${nodes[@]}"; do
		node_exec "$node" ibv_devinfo -d "$PCV_DEV" | awk '/node_guid/ { print $2 }'
	done | sort | uniq | tee /dev/stderr | grep -c . | grep -qx 3
}

# pingpong SERVER CLIENT PORT: data checked, in files of its own.
pingpong() {
	local s=$1 c=$2 port=$3
	mkdir -p "$tmp/$s$c"
	(
		case_pids=()
		tmp=$tmp/$s$c
		pair -p "$port" -s "$s" -c "$c" \
			ibv_rc_pingpong -d "$PCV_DEV" -g "${gid[${s#node}]}" -p "$port" -c -n 100 -- \
			ibv_rc_pingpong -d "$PCV_DEV" -g "${gid[${c#node}]}" -p "$port" -c -n 100 "$(address "$s")"
	)
}

all_pairs_at_once() {
	local pids=() pid status=0
	pingpong node0 node1 18521 >"$tmp/01" 2>&1 &
	pids+=($!)
	pingpong node1 node2 18522 >"$tmp/12" 2>&1 &
	pids+=($!)
	pingpong node2 node0 18523 >"$tmp/20" 2>&1 &
	pids+=($!)
	for pid in "${pids[@]}"; do
		wait "$pid" || status=1
	done
	cat "$tmp/01" "$tmp/12" "$tmp/20"
	return $status
}

mpi() {
	MPIRUN="$lab --name $PCV_LAB_NAME mpirun" "$top/mpi-tests/run" -np 3 \
		--timeout $((100 * PCV_SLOW)) "$@"
}

# One goes: the other two have each other, and it comes back.
works() { pingpong node0 node1 18530; }
one_less() {
	"$lab" --name "$PCV_LAB_NAME" kill node2 &&
		wait_until 10 node_sh node0 'grep -q "^name=node2 .*state=ACTIVE" /sys/kernel/debug/pcieverbs/peers && exit 1; exit 0' &&
		works
}
one_more() { "$lab" --name "$PCV_LAB_NAME" start node2 && pingpong node2 node1 18531; }

gid=()
for node in "${nodes[@]}"; do
	step "ibv_devinfo on $node" devinfo "$node"
	gid+=("$(gid_index "$node")")
done
step "GUIDs differ" guids_differ
for a in "${nodes[@]}"; do
	for b in "${nodes[@]}"; do
		[ "$a" != "$b" ] || continue
		step "ping $b from $a" node_exec "$a" ping -q -c 3 -i 0.05 -W 5 "$b"
		step "ibv_rc_pingpong $b to $a" pingpong "$a" "$b" 18520
	done
done
step "all pairs at once" all_pairs_at_once
step "MPI on three nodes" mpi ring alltoall
step "without one of them" one_less
step "with it again" one_more
case_end
