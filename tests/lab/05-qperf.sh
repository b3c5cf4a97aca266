#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# qperf, a server on node0; the ver_ tests check their data.
# limit: 180
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
start_on node0 "$tmp/server" qperf -lp 19765
server=$started
wait_until 20 listening node0 19765 || die "qperf does not listen: $(cat "$tmp/server")"

q_once() {
	node_exec node1 timeout -k 2 $((30 * PCV_SLOW)) qperf -lp 19765 -t 1 -uu "$@" >"$tmp/q" 2>&1 || { cat "$tmp/q"; return 1; }
	cat "$tmp/q"
	grep -Eq '(bw|latency|msg_rate) *= *[1-9]' "$tmp/q"
}

# A connection may be refused while the CM remembers its predecessor: qperf
# starts the next test at once, and its queue pair may have the same number.
q() {
	local i
	for i in 1 2 3 4 5 6; do
		q_once "$@" && return 0
		grep -q 'Event rejected' "$tmp/q" || return 1
		sleep 0.5
	done
	return 1
}

# qperf itself sends no GRH, and ib_core refuses an Ethernet port without one;
# over rdma_cm (-cm 1) its RC tests get one from the CM.
for t in rc_bw rc_lat rc_rdma_read_bw rc_rdma_write_bw \
	rc_compare_swap_mr rc_fetch_add_mr ver_rc_compare_swap ver_rc_fetch_add; do
	step $t q -cm 1 "$(node_ip node0)" $t
done
for t in ud_bw ud_lat; do
	if q "$(node_ip node0)" -li "$PCV_DEV" -ri "$PCV_DEV" $t >"$tmp/ud" 2>&1; then
		step $t cat "$tmp/ud"
	elif grep -q 'failed to create address handle: Invalid argument' "$tmp/ud"; then
		say "not run: $t: qperf makes address handles without a GRH"
	else
		step $t false
		cat "$tmp/ud"
	fi
done
kill "$server"
finish "$server" 10 >/dev/null
case_end
