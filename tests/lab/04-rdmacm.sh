#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# rdma_cm: rping and ucmatose, both ways.
# limit: 240
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
idle0=$(resources node0)
idle1=$(resources node1)

# rping BOTH-ARGS: from $2 to $1.
rp() {
	local s=$1 c=$2
	shift 2
	pair -p 7174 -s "$s" -c "$c" rping -s -V "$@" -a "$(node_ip "$s")" -p 7174 -- \
		rping -c -V "$@" -a "$(node_ip "$s")" -p 7174
}

uc() {
	local s=$1 c=$2
	shift 2
	pair -p 7471 -s "$s" -c "$c" ucmatose -b "$(node_ip "$s")" -p 7471 "$@" -- \
		ucmatose -s "$(node_ip "$s")" -p 7471 "$@"
}

# Three clients at once against a server that stays.
several() {
	local pid clients=() i failed=0
	start_on node0 "$tmp/server" timeout 60 rping -s -V -P -a "$(node_ip node0)" -p 7175
	pid=$started
	wait_until 20 listening node0 7175 || { cat "$tmp/server"; return 1; }
	for i in 1 2 3; do
		start_on node1 "$tmp/client.$i" timeout 50 rping -c -V -C 20 -S 1000 -a "$(node_ip node0)" -p 7175
		clients+=("$started")
	done
	for i in 1 2 3; do
		finish "${clients[i - 1]}" 55 || { failed=1; echo "client $i:"; cat "$tmp/client.$i"; }
	done
	kill "$pid"
	finish "$pid" 10
	return $failed
}

refused() {
	! node_exec node1 timeout 30 rping -c -C 1 -a "$(node_ip node0)" -p 7999
	[ $? -eq 0 ]
}

step "rping node1 to node0" rp node0 node1 -C 50 -S 100
step "rping node0 to node1" rp node1 node0 -C 50 -S 4000
step "rping, large" rp node0 node1 -C 5 -S 60000
step "rping on one node" rp node0 node0 -C 10
step "several rping clients" several
step "ucmatose node1 to node0" uc node0 node1
step "ucmatose node0 to node1" uc node1 node0 -c 4 -C 20 -S 1000
step "nobody listens" refused
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
case_end
