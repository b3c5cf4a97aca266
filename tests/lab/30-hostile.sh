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
old=

# The victim's counters, and the generations of the link if it is ACTIVE. Before
# that the bystander gets a signal.
look() {
	stats=$(node_sh node0 "${1:+pkill -$1 -x -f 'ibv_rc_pingpong .*-p 18900 .*';}"'
		cd /sys/kernel/debug/pcieverbs && cat peers stats &&
		echo rx_dropped $(cat /sys/class/net/'"$PCV_NETDEV"'/statistics/rx_dropped)') || return 1
	life=$(sed -n 's/^name=node1 .* state=ACTIVE .* gen=\([0-9a-f]*\) peer_gen=\([0-9a-f]*\) .*/\1 \2/p' <<<"$stats")
}
stat() { sed -n "s/^$1 //p" <<<"$stats"; }
rose() { look && [ "$(stat "$1")" -ge "$2" ]; }
reachable() { node_exec node1 ping -c 1 -W 1 "$(node_ip node0)"; }

# shellcheck disable=SC2086
forge_beside() { timeout $((20 * PCV_SLOW)) "$bin/forge" "$state" 0 1 $life "$@"; }

# The true peer stands still meanwhile: it would put lines of its own where those forged lie
# before the victim has seen them.
forge() {
	local status
	"$lab" --name "$PCV_LAB_NAME" stop node1 || return 1
	forge_beside "$@"
	status=$?
	"$lab" --name "$PCV_LAB_NAME" cont node1
	return $status
}

# A connection of node0 with itself: runs from a CONT to the next STOP.
bystander() {
	local argv=(nice -n 19 stdbuf -oL ibv_rc_pingpong -d "$PCV_DEV" -g "$g0" -p 18900 -e -n 1000000000)
	start_on node0 "$tmp/by.server" "${argv[@]}"
	by_spid=$started
	wait_until 20 server_ready "$by_spid" node0 18900 || return 1
	start_on node0 "$tmp/by.client" "${argv[@]}" "$(node_ip node0)"
	by_cpid=$started
	wait_until 20 rose tx_send 100 || { cat "$tmp"/by.*; return 1; }
	look STOP
	read -r by_qpn0 by_qpn1 < <(sed -n 's/.* address.*QPN \(0x[0-9a-f]*\).*/\1/p' "$tmp/by.server" | xargs)
}

both_rose() { rose "$@" && [ "$(stat tx_send)" -ge "$sent" ]; }

# counts NAME N CMD…: CMD makes the victim's counter go up by N, while the
# bystander goes on. The life that this was done to is in $old.
counts() {
	local name=$1 n=$2 before sent status=0
	shift 2
	look CONT && [ -n "$life" ] || { echo "no link"; return 1; }
	old=$life
	before=$(stat "$name")
	"$@" || status=1
	sent=$(($(stat tx_send) + 100))
	if ! wait_until 5 both_rose "$name" $((before + n)); then
		echo "$name: $before -> $(stat "$name"), expected +$n; bystander: $(stat tx_send), expected $sent"
		status=1
	fi
	look STOP
	kill -0 "$by_spid" && kill -0 "$by_cpid" || { cat "$tmp"/by.*; status=1; }
	return $status
}

new_life() { { [ -n "$life" ] && [ "$life" != "$old" ]; } || { look && false; }; }
works() {
	pair ibv_rc_pingpong -d "$PCV_DEV" -g "$g0" -c -n 50 -- \
		ibv_rc_pingpong -d "$PCV_DEV" -g "$g1" -c -n 50 "$(node_ip node0)"
}
back() {
	wait_until 5 new_life || { echo "no new life after $old"; sed -n '/^name=/p' <<<"$stats"; return 1; }
	wait_until 5 reachable
}

# cuts KIND…: that life ends, the fault is counted, the next life works.
cuts() { counts peer_broken 1 forge "$@" && back; }
leave() { counts link_down 1 forge leave && back && works; }

# A liar about credit is believed until the victim has a use for credit.
credit() {
	local flood status=0
	start_on node0 "$tmp/flood" ping -q -f -w $((10 * PCV_SLOW)) -s 1400 "$(node_ip node1)"
	flood=$started
	counts peer_broken 1 forge_beside credit || status=1
	node_sh node0 'pkill -x ping'
	finish "$flood" 10
	[ $status -eq 0 ] && back && works
}

# Nothing of it has arrived, so nobody may mind.
garbage() { counts link_down 0 forge garbage "$1" 0 && reachable && leave; }

# Connections between the nodes: queue pairs of node0 in $qpn, theirs in $peer_qpn.
idle() {
	start_on node0 "$tmp/idle.0" "$bin/idle" --server --port 18910
	idle0=$started
	wait_until 20 server_ready "$idle0" node0 18910 || return 1
	start_on node1 "$tmp/idle.1" "$bin/idle" --client "$(node_ip node0)" --port 18910
	idle1=$started
	wait_until 20 grep -q '^idle 7 ' "$tmp/idle.0" || { cat "$tmp"/idle.*; return 1; }
	mapfile -t qpn < <(awk '/^idle / { print $3 }' "$tmp/idle.0")
	mapfile -t peer_qpn < <(awk '/^idle / { print $4 }' "$tmp/idle.0")
	mapfile -t peer_psn < <(awk '/^idle / { print $5 }' "$tmp/idle.0")
}

strangers() {
	local who
	for who in 0 1 0xabcdef 0xffffffff "$by_qpn0 $by_qpn1" "${qpn[0]} 0xabcdef"; do
		# shellcheck disable=SC2086
		forge request $who && forge answer $who || return 1
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
	for i in 0 1 2 3 4 5 6 7; do
		forge absurd "${qpn[i]}" "${peer_qpn[i]}" "${peer_psn[i]}" $i || return 1
	done
}

idle_ends() {
	local status=0
	finish "$idle0" $((20 * PCV_SLOW)) || status=1
	finish "$idle1" $((20 * PCV_SLOW)) || status=1
	cat "$tmp"/idle.*
	return $status
}

cm_works() {
	pair -t 10 -p 7174 rping -s -p 7174 -C 3 -- rping -c -p 7174 -C 3 -a "$(node_ip node0)"
}

step "the bystander runs" bystander || die "no bystander"

# What breaks the protocol.
for kind in type no-head answer-on-request request-on-response works \
	short empty long longest continuation works \
	data-beyond data-wraps data-misaligned data-long-frame data-and-inline works; do
	[ $kind != works ] || { step "verbs work" works; continue; }
	step "$kind: cut off and back" cuts $kind
done
step "credit for what was never sent: cut off and back" credit

# What is well formed, and wrong: ignored and counted. All in one life, which
# has to end then: forged lines took the place of the peer's own.
step "connections between the nodes" idle
step "requests and answers for queue pairs of others" counts rx_no_qp 144 strangers
step "answers out of the blue" counts rx_bad_op 2 forge answer "${qpn[0]}" "${peer_qpn[0]}"
step "datagrams that nobody wants" counts ud_dropped 5 datagrams
step "frames that are none" counts rx_dropped 6 frames
step "a checksum in the Ethernet header" counts rx_msgs_request 1 forge net 2 0 0 60
step "absurd requests: refused" counts tx_nak 8 absurd
step "leaving in the peer's name" leave
step "these connections have ended with errors" idle_ends

for seed in 1 2; do
	step "garbage everywhere, seed $seed" garbage $seed
	step "garbage that arrives, seed $seed" cuts garbage $seed 1
done
step "verbs still work" works
step "connection management works" cm_works
# It fits a datagram, and not what GSI has posted: nobody's business but the sender's.
step "a long datagram for GSI" counts rx_msgs_request 1 forge ud 1 0x80010000 4096
step "leaving again" leave
step "connection management still works" cm_works
look KILL
finish "$by_cpid" 5 >/dev/null
finish "$by_spid" 5 >/dev/null
case_end
