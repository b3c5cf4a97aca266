#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# A node with another processor beside an x86 (a POWER, whose pages are 64 KiB, or an
# arm64): they are what they should be, and every kind of verbs works between them, each
# with either of them as the server. What the data is, is checked where the programs can.
# limit: 900
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../fast.sh"
case_begin
idle0=$(resources node0)
idle1=$(resources node1)
g0=$(gid_index node0) || die "node0 has no GID"
g1=$(gid_index node1) || die "node1 has no GID"
gid_of() { [ "$1" = node0 ] && echo "$g0" || echo "$g1"; }
other() { [ "$1" = node0 ] && echo node1 || echo node0; }

# node_is NODE MACHINE PAGE: it is another kind of machine indeed.
node_is() {
	local got
	got=$(node_sh "$1" 'echo "$(uname -m) $(getconf PAGESIZE)"')
	echo "$1: $got"
	[ "$got" = "$2 $3" ]
}

# pp SERVER PROGRAM ARGS…
pp() {
	local s=$1 c program=$2
	shift 2
	c=$(other "$s")
	pair -s "$s" -c "$c" "$program" -d "$PCV_DEV" -g "$(gid_of "$s")" "$@" -- \
		"$program" -d "$PCV_DEV" -g "$(gid_of "$c")" "$@" "$(node_ip "$s")"
}

port=18600

# perf SERVER PROGRAM ARGS…: a run without a line of results has shown nothing. A clock
# that could not be calibrated (`inf`) is the busy host's; the work has been done.
perf() {
	local s=$1 c program=$2
	shift 2
	c=$(other "$s")
	port=$((port + 1))
	pair -t 60 -p $port -s "$s" -c "$c" \
		"$program" -d "$PCV_DEV" -x "$(gid_of "$s")" -F -p $port "$@" -- \
		"$program" -d "$PCV_DEV" -x "$(gid_of "$c")" -F -p $port "$@" "$(node_ip "$s")" || return 1
	grep -E '^ *[0-9]+ +[0-9]+ +([0-9.]+|inf)' "$tmp/client" || { echo "no result line"; return 1; }
}

rp() {
	local s=$1
	shift
	pair -p 7174 -s "$s" -c "$(other "$s")" rping -s -V "$@" -a "$(node_ip "$s")" -p 7174 -- \
		rping -c -V "$@" -a "$(node_ip "$s")" -p 7174
}

# Their rings are memory of the other one, mapped perhaps with pages of another size.
through_rings() {
	local node status=0
	fast_before
	pp node0 ibv_rc_pingpong -c -n 200 || return 1
	for node in node0 node1; do
		echo "$node: $(fast_since $node tx_fast) SENDs through fast rings"
		[ "$(fast_since $node tx_fast)" -ge 150 ] || status=1
	done
	return $status
}

pings() { node_exec "$(other "$1")" ping -c 3 -i 0.2 -W 10 -s "$2" "$(node_ip "$1")"; }

iperf() {
	node_exec "$(other "$1")" timeout $((30 * PCV_SLOW)) iperf3 -c "$(node_ip "$1")" -n 2M "${@:2}"
}

step "node0 is an x86 with small pages" node_is node0 x86_64 4096
case $PCV_MIXED in
ppc64el) step "node1 is a POWER with large pages" node_is node1 ppc64le 65536 ;;
arm64) step "node1 is an arm64 with small pages" node_is node1 aarch64 4096 ;;
*) die "which other processor? (tests/lab/run --backend power or arm)" ;;
esac
! fast_on || step "fast rings" through_rings
for s in node0 node1; do
	for size in 1 4096 65537 1048576; do
		step "rc pingpong, $size bytes, server $s" pp $s ibv_rc_pingpong -c -n 10 -s $size
	done
	step "rc pingpong with events, server $s" pp $s ibv_rc_pingpong -c -n 20 -e
	step "srq pingpong, server $s" pp $s ibv_srq_pingpong -c -n 10
	step "ud pingpong, server $s" pp $s ibv_ud_pingpong -c -n 20 -s 1000
	step "ib_send_lat, server $s" perf $s ib_send_lat -n 100
	step "ib_write_lat, server $s" perf $s ib_write_lat -n 100 -s 4096
	step "ib_write_bw, server $s" perf $s ib_write_bw -n 50 -s 65536
	step "ib_read_bw, server $s" perf $s ib_read_bw -n 50 -s 65536
	step "ib_atomic_lat, server $s" perf $s ib_atomic_lat -n 50
	step "rping, server $s" rp $s -C 20 -S 4000
	step "ping to $s" pings $s 56
	step "ping to $s, large" pings $s 60000
	start_on $s "$tmp/iperf-server" iperf3 -s
	server=$started
	wait_until 20 listening $s 5201 || die "iperf3 does not listen"
	step "iperf3 to $s" iperf $s
	step "iperf3 from $s" iperf $s -R
	kill "$server"
	finish "$server" 10 >/dev/null
done
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
step "no block is taken" blocks_free
case_end
