#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# The NTB driver when the other side goes and comes: client and driver unloaded,
# the node killed. Nobody on this side reloads anything.
. "$(dirname "$0")/ntb.sh"
ntb_begin

both_up() { tool_link node0 Y 5 && tool_link node1 Y 5; }
enable() { tool "$1" 'echo Y >link'; }

start() {
	ntb_each ntb_load && client_load ntb_tool && ntb_each enable && both_up
}

client_comes_and_goes() {
	node_exec node1 rmmod ntb_tool && tool_link node0 N 1 &&
		client_load_on node1 ntb_tool && enable node1 && both_up
}

driver_comes_and_goes() {
	ntb_unload node1 && tool_link node0 N 1 &&
		ntb_load node1 && enable node1 && both_up
}

cable() { node_sh node1 'echo '"$1"' >/sys/module/$(/run/lab/load-bridge --name)/parameters/cut'; }

# What the client wants stays as it is.
cable_is_drawn() {
	cable Y && tool_link node0 N 1 && tool_link node1 N 1 && enable node1 &&
		tool node1 'grep -q N peer0/link' && cable N && both_up
}

repeat() {
	local i n=$1
	shift
	for ((i = 0; i < n; i++)); do
		"$@" || return 1
	done
}

# The far end of a window is gone, and this side writes on.
node_is_killed() {
	local waiting ended
	tool node1 'echo 65536 >peer0/mw_trans0' &&
		tool node0 'echo 0:65536 >peer0/peer_mw_trans0 && echo here >peer0/peer_mw0' || return 1
	start_on node0 "$tmp/lost" bash -c 'cd /sys/kernel/debug/ntb_tool/* && echo N >peer0/link_event'
	waiting=$started
	sleep 0.5
	ended=$(date +%s%3N)
	node_kill node1 || return 1
	finish "$waiting" $((2 * PCV_SLOW)) || return 1
	ended=$(($(date +%s%3N) - ended))
	echo "noticed after $ended ms"
	[ "$ended" -le $((1000 * PCV_SLOW)) ] &&
		tool node0 'echo into the void >peer0/peer_mw0; echo 1 >peer0/spad0
			echo "s 1" >peer_db; echo 0:0 >peer0/peer_mw_trans0; grep -q N peer0/link'
}

node_comes_back() {
	node_boot node1 && ntb_load node1 && client_load_on node1 ntb_tool &&
		enable node1 && both_up &&
		tool node0 'echo 0xabc >peer0/spad1' && tool node1 'grep -qx 0xabc spad1'
}

# A node that starts alone must not take a dead one's registers for a peer.
dead_registers() {
	node_kill node0 && node_kill node1 && node_boot node0 &&
		ntb_load node0 && client_load_on node0 ntb_tool && enable node0 &&
		sleep 0.5 && tool node0 'grep -q N peer0/link' && node_comes_back
}

cpu_ticks() {
	local host kernel line _
	read -r host _ kernel _ <"$(lab_state)/$1.pid"
	read -r line <"/proc/$kernel/stat"
	read -ra line <<<"${line##*) }"
	echo $((line[11] + line[12]))
}

idle_costs_nothing() {
	local n before after
	for n in node0 node1; do
		before=$(cpu_ticks $n)
		sleep 2
		after=$(cpu_ticks $n)
		echo "$n: $((after - before)) ticks in 2 s"
		[ $((after - before)) -le 10 ] || return 1
	done
}

step "start" start
step "client comes and goes, 10 times" repeat 10 client_comes_and_goes
step "driver comes and goes, 10 times" repeat 10 driver_comes_and_goes
step "cable is drawn, 10 times" repeat 10 cable_is_drawn
step "node is killed" node_is_killed
step "node comes back" node_comes_back
step "both die, one comes back, then the other" dead_registers
step "idle costs nothing" idle_costs_nothing
step "driver unloads under its client" ntb_each ntb_unload
step "and loads again" eval "ntb_each ntb_load && ntb_each enable && both_up"
ntb_finish
