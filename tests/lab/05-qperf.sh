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

# qperf knows LIDs only: the provider makes GIDs of them. RC also over rdma_cm.
for t in $(pick "rc_bw rc_lat ud_lat rc_rdma_read_bw ver_rc_fetch_add" \
	"rc_bw rc_lat ud_bw ud_lat rc_rdma_read_bw rc_rdma_write_bw
	rc_compare_swap_mr rc_fetch_add_mr ver_rc_compare_swap ver_rc_fetch_add"); do
	step $t q "$(node_ip node0)" $t
	case $t in
	rc_bw | rc_lat) step "$t over rdma_cm" q -cm 1 "$(node_ip node0)" $t ;;
	esac
done
kill "$server"
finish "$server" 10 >/dev/null
case_end
