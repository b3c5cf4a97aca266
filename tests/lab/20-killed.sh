#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A process killed in mid-transfer: its peer ends with an error, in time, and
# new connections work.
# limit: 240
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
g0=$(gid_index node0) || die "node0 has no GID"
g1=$(gid_index node1) || die "node1 has no GID"
idle0=$(resources node0)
idle1=$(resources node1)
port=18700

# Nobody counts stores into direct memory, but where they go is told once.
tells() { node_sh node0 "cat /sys/class/infiniband/$PCV_DEV/ports/1/hw_counters/direct_tells 2>/dev/null || echo 0"; }
busy() { [ "$(verbs_count node0)" -gt "$1" ] || [ "$(tells)" -gt "$2" ]; }
# The program itself, by its port: its launcher in the node is only a parent.
kill9() { node_sh "$1" "pkill -9 -x -f '$2 .*-p $port.*'"; }

# killed VICTIM PROG ARGS…
killed() {
	local victim=$1 prog=$2 spid cpid count told left status
	shift 2
	port=$((port + 1))
	start_on node0 "$tmp/server" "$prog" -d "$PCV_DEV" -x "$g0" -F -p $port --run_infinitely "$@"
	spid=$started
	wait_until 20 server_ready "$spid" node0 $port || return 1
	count=$(verbs_count node0)
	told=$(tells)
	start_on node1 "$tmp/client" "$prog" -d "$PCV_DEV" -x "$g1" -F -p $port --run_infinitely "$@" "$(node_ip node0)"
	cpid=$started
	wait_until 20 busy $((count + 200)) "$told" || { echo "no traffic"; cat "$tmp/server" "$tmp/client"; return 1; }
	if [ "$victim" = server ]; then
		kill9 node0 "$prog" || return 1
		finish "$spid" 10
		left=$cpid
	else
		kill9 node1 "$prog" || return 1
		finish "$cpid" 10
		left=$spid
	fi
	# The one that is left: an error is right, waiting for ever is not.
	# (A server that only serves WRITEs learns of it over TCP, or never.)
	if [ "$victim" = client ] && [ "$prog" != ib_send_bw ]; then
		kill9 node0 "$prog"
		finish "$left" 10
		return 0
	fi
	finish "$left" $((30 * PCV_SLOW)) >"$tmp/finish"
	status=$?
	cat "$tmp/finish" "$tmp/client"
	! grep -q 'did not end' "$tmp/finish" && [ $status -ne 0 ]
}

works() {
	pair ibv_rc_pingpong -d "$PCV_DEV" -g "$g0" -c -n 50 -- \
		ibv_rc_pingpong -d "$PCV_DEV" -g "$g1" -c -n 50 "$(node_ip node0)"
}

for prog in ib_send_bw ib_write_bw ib_read_bw; do
	for size in $(pick 65536 "64 65536"); do
		step "$prog $size: server killed" killed server $prog -s $size
		step "a new connection" works
	done
done
step "ib_write_bw: client killed" killed client ib_write_bw -s 65536
step "a new connection" works
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
case_end
