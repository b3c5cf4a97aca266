#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A hostile peer: what it writes is ignored and counted, or ends the link's
# present life, and the next one works. Node0 is the victim; a connection
# inside node0 goes on through all of it.
# limit: 180
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
state=${XDG_RUNTIME_DIR:-/tmp}/pcieverbs-$(id -u)/$PCV_LAB_NAME
[ -e "$state/ram1" ] || skip "no state directory of this lab"
node_exec node0 test -e /sys/kernel/debug/pcieverbs/peers || skip "no debugfs"
g0=$(gid_index node0) || die "node0 has no GID"
g1=$(gid_index node1) || die "node1 has no GID"
stats=
life=

# The victim's counters, and the generations of the link if it is ACTIVE.
look() {
	stats=$(node_sh node0 'cd /sys/kernel/debug/pcieverbs && cat peers stats &&
		echo rx_dropped $(cat /sys/class/net/'"$PCV_NETDEV"'/statistics/rx_dropped)') || return 1
	life=$(sed -n 's/^name=node1 .* state=ACTIVE .* gen=\([0-9a-f]*\) peer_gen=\([0-9a-f]*\) .*/\1 \2/p' <<<"$stats")
}
stat() { sed -n "s/^$1 //p" <<<"$stats"; }
rose() { look && [ "$(stat "$1")" -ge "$2" ]; }
reachable() { node_exec node1 ping -c 1 -W 1 "$(node_ip node0)"; }

forge() {
	# shellcheck disable=SC2086
	timeout $((20 * PCV_SLOW)) "$bin/forge" "$state" 0 1 $life "$@"
}

signal() { node_sh "$1" "pkill -$2 -x -f 'ibv_rc_pingpong .*-p $3 .*'"; }

# endless PORT NODE: a pingpong of node0 with NODE; both queue pairs in qpn0, qpn1.
endless() {
	local port=$1 log=$tmp/endless-$1
	start_on node0 "$log.server" nice -n 19 stdbuf -oL ibv_rc_pingpong -d "$PCV_DEV" -g "$g0" -p "$port" -e -n 1000000000
	spid=$started
	wait_until 20 server_ready "$spid" node0 "$port" || return 1
	start_on "$2" "$log.client" nice -n 19 ibv_rc_pingpong -d "$PCV_DEV" -g "$([ "$2" = node0 ] && echo "$g0" || echo "$g1")" \
		-p "$port" -e -n 1000000000 "$(node_ip node0)"
	cpid=$started
	wait_until 20 grep -q 'remote address' "$log.server" || { cat "$log".*; return 1; }
	qpn0=$(sed -n 's/.*local address.*QPN \(0x[0-9a-f]*\).*/\1/p' "$log.server")
	qpn1=$(sed -n 's/.*remote address.*QPN \(0x[0-9a-f]*\).*/\1/p' "$log.server")
}

bystander() {
	endless 18900 node0 || return 1
	by_spid=$spid by_cpid=$cpid by_qpn0=$qpn0 by_qpn1=$qpn1
	wait_until 10 rose tx_send 100 && signal node0 STOP 18900
}

# counts NAME N CMD…: CMD makes the victim's counter go up by N, while the
# bystander goes on.
counts() {
	local name=$1 n=$2 before sent status=0
	shift 2
	signal node0 CONT 18900 && look && [ -n "$life" ] || { echo "no link"; return 1; }
	before=$(stat "$name")
	"$@" || status=1
	if [ $status -eq 0 ] && ! wait_until 5 rose "$name" $((before + n)); then
		echo "$name: $before -> $(stat "$name"), expected +$n"
		status=1
	fi
	sent=$(stat tx_send)
	wait_until 5 rose tx_send $((sent + 100)) || { echo "the bystander stands still"; status=1; }
	signal node0 STOP 18900
	kill -0 "$by_spid" && kill -0 "$by_cpid" || { cat "$tmp"/endless-18900.*; status=1; }
	return $status
}

new_life() { look && [ -n "$life" ] && [ "$life" != "$1" ]; }
works() {
	pair ibv_rc_pingpong -d "$PCV_DEV" -g "$g0" -c -n 50 -- \
		ibv_rc_pingpong -d "$PCV_DEV" -g "$g1" -c -n 50 "$(node_ip node0)"
}
back() {
	wait_until 5 new_life "$1" || { echo "no new life after $1"; sed -n '/^name=/p' <<<"$stats"; return 1; }
	wait_until 5 reachable && works
}

# cuts KIND…: that life ends, the fault is counted, the next life works.
cuts() {
	local old
	look && old=$life || return 1
	counts peer_broken 1 forge "$@" && back "$old"
}

leave() {
	local old
	look && old=$life || return 1
	counts link_down 1 forge leave && back "$old"
}

# A liar about credit is believed until the victim has a use for credit.
credit() {
	local old flood status=0
	look && old=$life || return 1
	start_on node0 "$tmp/flood" ping -q -f -w $((10 * PCV_SLOW)) -s 1400 "$(node_ip node1)"
	flood=$started
	counts peer_broken 1 forge credit || status=1
	node_sh node0 'pkill -x ping'
	finish "$flood" 10
	[ $status -eq 0 ] && back "$old"
}

# Nothing of it has arrived, so nobody may mind.
garbage() { counts link_down 0 forge garbage "$1" 0 && reachable && works && leave; }

# A connection between the nodes, both processes stopped, and the number of the
# request that node0 expects on it: nobody else makes requests now.
connection() {
	local before now last=
	look && before=$(stat rx_requests) || return 1
	endless $((18910 + $1)) node1 && wait_until 10 rose rx_requests $((before + 4)) || return 1
	signal node1 STOP $((18910 + $1)) && signal node0 STOP $((18910 + $1)) || return 1
	until [ "$last" = "${now:-none}" ]; do
		last=${now:-}
		look && now=$(stat rx_requests) || return 1
	done
	c_qpn0[$1]=$qpn0 c_qpn1[$1]=$qpn1 c_ssn[$1]=$((now - before)) c_spid[$1]=$spid c_cpid[$1]=$cpid
}

strangers() {
	local qpn
	for qpn in 0 1 0xabcdef 0xffffffff "$by_qpn0 $by_qpn1" "${c_qpn0[0]} 0xabcdef"; do
		# shellcheck disable=SC2086
		forge request $qpn && forge answer $qpn || return 1
	done
}

# GSI and its Q_Key are known to everybody.
datagrams() {
	forge ud 0xabcdef 0 100 && forge ud "$by_qpn0" 0x11111111 100 && forge ud 1 1 100 &&
		forge ud 1 0x80010000 4097 && forge ud 1 0x80010000 32768
}

# Too short, or the checksum's place outside: all of it, half, or by one.
frames() {
	forge net 0 0 0 0 && forge net 0 0 0 1 && forge net 0 0 0 13 &&
		forge net 2 65535 65535 60 && forge net 2 34 25 60 && forge net 2 60 0 60
}

absurd() {
	local i
	for i in $connections; do
		forge absurd "${c_qpn0[i]}" "${c_qpn1[i]}" "${c_ssn[i]}" "$i" || return 1
	done
}

all_end() {
	local i status=0
	signal node0 CONT '1891[0-9]'
	signal node1 CONT '1891[0-9]'
	for i in $connections; do
		finish "${c_spid[i]}" $((10 * PCV_SLOW)) && { echo "server $i saw no error"; status=1; }
		finish "${c_cpid[i]}" $((10 * PCV_SLOW)) && { echo "client $i saw no error"; status=1; }
	done >"$tmp/ends"
	cat "$tmp/ends" "$tmp"/endless-1891*
	[ ! -s "$tmp/ends" ]
}

cm_works() {
	pair -p 7174 rping -s -p 7174 -C 3 -- rping -c -p 7174 -C 3 -a "$(node_ip node0)"
}

connections="0 1 2 3 4 5 6"
step "the bystander runs" bystander || die "no bystander"

# What breaks the protocol.
for kind in type no-type no-head answer-on-request request-on-response short empty long longest continuation \
	data-beyond data-wraps data-misaligned data-long-frame data-long-segment data-and-inline; do
	step "$kind: cut off and back" cuts $kind
done
step "credit for what was never sent: cut off and back" credit

# What is well formed, and wrong: ignored and counted. All in one life, which
# has to end then: forged lines took the place of the peer's own.
for i in $connections; do
	step "connection $i for later" connection "$i"
done
step "requests and answers for queue pairs of others" counts rx_no_qp 132 strangers
# Two of twelve have an operation that is none.
step "answers out of the blue" counts rx_bad_op 2 forge answer "${c_qpn0[0]}" "${c_qpn1[0]}"
step "datagrams that nobody wants" counts ud_dropped 5 datagrams
step "frames that are none" counts rx_dropped 6 frames
step "a checksum in the Ethernet header" counts rx_msgs_request 1 forge net 2 0 0 60
step "absurd requests: refused" counts tx_nak 7 absurd
step "leaving in the peer's name" leave
step "these connections have ended with errors" all_end

for seed in 1 2 3; do
	step "garbage everywhere, seed $seed" garbage $seed
	step "garbage that arrives, seed $seed" cuts garbage $seed 1
done
step "connection management works" cm_works
signal node0 KILL 18900
finish "$by_cpid" 5 >/dev/null
finish "$by_spid" 5 >/dev/null
case_end
