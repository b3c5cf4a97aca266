#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Linux's own NTB clients on the NTB driver of the lab, unmodified: ntb_tool,
# ntb_pingpong, ntb_perf, ntb_transport with ntb_netdev.
#
# On QEMU nodes a window's BAR is the peer's memory: nothing translates there, a
# client must ask where a window leads when that is known. The last two ask
# before; they have a case of their own (qemu/13-ntb-cable).
. "$(dirname "$0")/ntb.sh"
ntb_begin
translated=1
unit=4096
[ "${PCV_LAB_BACKEND:-uml}" != qemu ] || translated='' unit=65536

devices() {
	local class=0x068000
	# What QEMU offers says that it is memory.
	[ "${PCV_LAB_BACKEND:-uml}" != qemu ] || class=0x050000
	node_exec node0 test -e "/sys/bus/ntb/devices/$(ntb_device 1)" &&
		node_exec node1 test -e "/sys/bus/ntb/devices/$(ntb_device 0)" &&
		node_exec node0 grep -qx $class "/sys/bus/pci/devices/$(ntb_device 1)/class"
}

link() {
	tool node0 'echo Y >link && grep -q N peer0/link' &&
		tool node1 'grep -q N peer0/link && echo Y >link' &&
		tool_link node0 Y 2 && tool_link node1 Y 2 &&
		tool node1 'echo N >link && grep -q N peer0/link' &&
		tool_link node0 N 2 &&
		tool node1 'echo Y >link' &&
		tool_link node0 Y 2 && tool_link node1 Y 2
}

spads() {
	tool node0 'for i in $(seq 0 31); do echo $((i * 16777259)) >peer0/spad$i; done' &&
		tool node1 'for i in $(seq 0 31); do [ $(($(cat spad$i))) = $((i * 16777259)) ] || exit 1; done' &&
		tool node1 'echo 0xfeedf00d >spad7' &&
		tool node0 'grep -qx 0xfeedf00d peer0/spad7 && ! grep -qx 0xfeedf00d spad7'
}

doorbells() {
	# Masked at first: pending, and no event.
	tool node1 'grep -qx 0xffffffff db_mask && grep -qx 0x0 db' &&
		tool node0 "echo 's 0x80000001' >peer_db && grep -qx 0x80000001 peer_db" &&
		tool node1 "grep -qx 0x80000001 db &&
			echo 'c 0x80000000' >db && grep -qx 0x1 db &&
			echo 'c 0xffffffff' >db_mask && grep -qx 0x0 db_mask && echo 'c 1' >db" || return 1
	start_on node1 "$tmp/event" bash -c 'cd /sys/kernel/debug/ntb_tool/* && echo 4 >db_event'
	sleep 0.3
	tool node0 "echo 's 4' >peer_db" || return 1
	finish "$started" 5 || return 1
	tool node1 "echo 'c 4' >db && echo 's 4' >db_mask && grep -qx 0x4 db_mask" &&
		tool node0 "! echo 's 0x100000000' 2>/dev/null >peer_db"
}

# A doorbell that nobody wants to hear of costs no interrupt, many cost one.
interrupts() {
	node_sh "$1" "awk '/ntb_(uml|ivshmem)/ { for (i = 2; \$i ~ /^[0-9]+\$/; i++) n += \$i }
		END { print n + 0 }' /proc/interrupts"
}
masked_doorbells_are_silent() {
	local before
	tool node1 "echo 's 0xffffffff' >db_mask"
	before=$(interrupts node1)
	tool node0 "for i in 1 2 3 4 5 6 7 8 9; do echo 's 1' >peer_db; done" || return 1
	[ "$(interrupts node1)" = "$before" ] &&
		tool node1 "grep -qx 0x1 db && echo 'c 1' >db"
}

# window N BYTES: node1's memory, written and read by node0.
window() {
	local sum0 sum1
	tool node1 "echo $2 >peer0/mw_trans$1" &&
		tool node0 "echo 0:$2 >peer0/peer_mw_trans$1 &&
			grep -Eq 'Mapping Size.*$(printf '0x%016x' "$2")' peer0/peer_mw_trans$1" || return 1
	sum0=$(tool node0 "head -c $2 /dev/urandom >/tmp/data && cat /tmp/data >peer0/peer_mw$1 &&
		head -c $2 peer0/peer_mw$1 | cmp - /tmp/data && md5sum </tmp/data")
	sum1=$(tool node1 "head -c $2 peer0/mw$1 | md5sum")
	echo "window $1: $sum0 $sum1"
	[ -n "$sum0" ] && [ "$sum0" = "$sum1" ]
}

# With the translation gone the window is still mapped, but leads nowhere.
window_closes() {
	tool node1 'echo 0 >peer0/mw_trans2' &&
		tool node0 'echo something >peer0/peer_mw2
			[ "$(head -c 8 peer0/peer_mw2 | od -An -tx1 | tr -d " ")" = ffffffffffffffff ]' &&
		tool node0 'echo 0:0 >peer0/peer_mw_trans2'
}

# Mapped first and translated afterwards, as most clients do it.
window_opens_late() {
	tool node0 'echo 0:4096 >peer0/peer_mw_trans2 && echo lost >peer0/peer_mw2' &&
		tool node1 'echo 4096 >peer0/mw_trans2 && [ "$(head -c 4 peer0/mw2 | tr -d "\\0")" = "" ]' &&
		tool node0 'echo found >peer0/peer_mw2' &&
		tool node1 'grep -aq found peer0/mw2' &&
		tool node0 'echo 0:0 >peer0/peer_mw_trans2'
}

window_is_not_open_early() {
	tool node1 'echo 0 >peer0/mw_trans1' && tool node0 '! echo 0:65536 2>/dev/null >peer0/peer_mw_trans1'
}

bad_translations() {
	# Larger than all of RAM: ntb_tool cuts it to the maximum, and cannot allocate that.
	tool node1 '! echo 0x10000000000 2>/dev/null >peer0/mw_trans1'
}

# ntb_tool frees a window's file twice if one is open when it is unloaded.
close_windows() {
	tool node0 'for i in 0 1 2 3; do echo 0:0 >peer0/peer_mw_trans$i; done' &&
		tool node1 'for i in 0 1 2 3; do echo 0 >peer0/mw_trans$i; done'
}

pings() { node_sh "$1" 'cat /sys/kernel/debug/ntb_pingpong/*/count'; }
pingpong() {
	local before0 before1 after0 after1
	before0=$(pings node0) before1=$(pings node1)
	sleep 2
	after0=$(pings node0) after1=$(pings node1)
	echo "doorbells answered in 2 s: node0 $((after0 - before0)), node1 $((after1 - before1))"
	[ $((after0 - before0)) -ge 20 ] && [ $((after1 - before1)) -ge 20 ]
}

perf_up() { node_sh "$1" 'grep -q "Link status: up" /sys/kernel/debug/ntb_perf/*/info'; }
perf() {
	node_sh "$1" 'cd /sys/kernel/debug/ntb_perf/* && echo 0 >run && cat run' >"$tmp/perf"
	cat "$tmp/perf"
	grep -q 'copied [1-9][0-9]* bytes' "$tmp/perf"
}

netdev_up() {
	node_sh node0 'ip addr add 10.9.9.1/24 dev eth0 && ip link set eth0 up' &&
		node_sh node1 'ip addr add 10.9.9.2/24 dev eth0 && ip link set eth0 up' &&
		wait_until 20 node_exec node0 ping -c 1 -W 1 10.9.9.2
}

step "driver loads on both nodes" ntb_each ntb_load
step "devices" devices
step "ntb_tool loads" client_load ntb_tool
step "link" link
step "scratchpads" spads
step "doorbells" doorbells
step "masked doorbells are silent" masked_doorbells_are_silent
step "window 0, 1 MiB" window 0 1048576
step "window 3, the smallest" window 3 $unit
step "window 2, 2 MiB, more than its indirect range" window 2 2097152
if [ -n "$translated" ]; then
	step "window closes" window_closes
	step "window opens late" window_opens_late
else
	step "window is not open early" window_is_not_open_early
fi
step "bad translation" bad_translations
step "ntb_tool unloads" eval "close_windows && client_unload ntb_tool"
step "ntb_pingpong loads" client_load ntb_pingpong delay_ms=0
step "ntb_pingpong" pingpong
step "ntb_pingpong unloads" client_unload ntb_pingpong
if [ -n "$translated" ]; then
	step "ntb_perf loads" client_load ntb_perf total_order=28
	step "ntb_perf links" eval "wait_until 5 perf_up node0 && wait_until 5 perf_up node1"
	step "ntb_perf from node0" perf node0
	step "ntb_perf from node1" perf node1
	step "ntb_perf unloads" client_unload ntb_perf
	# One queue for the one client: queues without one are never freed by it.
	step "ntb_transport loads" client_load ntb_transport max_num_clients=1
	step "ntb_netdev loads" client_load ntb_netdev
	step "ntb_netdev connects" netdev_up
	step "ntb_netdev carries" node_exec node0 ping -q -c 20 -i 0.05 -s 30000 10.9.9.2
	step "ntb_transport unloads" client_unload ntb_netdev ntb_transport
fi
step "driver unloads" ntb_each ntb_unload
ntb_finish
