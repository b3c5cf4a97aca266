# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# For cases with a storm (storm.c): how it begins and ends, and what disturbs it.
# To be sourced after lib.sh. Its server is on node0; its client, on node1, takes
# orders.

storm_seed=${STORM_SEED:-$RANDOM}
storm_dir=/tmp/storm
storm0=
storm1=

peers_active() {
	node_sh "$1" 'grep -v LOOPBACK /sys/kernel/debug/pcieverbs/peers | grep -q state=ACTIVE'
}
no_peer() { ! peers_active "$1"; }
both_active() { peers_active node0 && peers_active node1; }

# Both nodes, with everything that programs want.
reachable() { node_exec node1 ping -c 1 -W 1 "$(node_ip node0)"; }
usable() { both_active && reachable && gid_index node0 && gid_index node1; }
link_is_back() {
	wait_until 20 usable && return 0
	for n in node0 node1; do
		node_sh $n 'cat /sys/kernel/debug/pcieverbs/peers; rdma link; ip addr show '"$PCV_NETDEV"
	done
	return 1
}

storm_count() { sed -n "s/.* $2 \([0-9]*\).*/\1/p" "$tmp/$1" | tail -n 1; }

storm_server() {
	start_on node0 "$tmp/storm0" env STORM_THREADS="${1:-4}" STORM_SEED="$storm_seed" "$bin/storm" --server
	storm0=$started
}

storm_client() {
	node_sh node1 "rm -rf $storm_dir; mkdir -p $storm_dir" || return 1
	start_on node1 "$tmp/storm1" env STORM_THREADS="${1:-4}" STORM_SEED="$storm_seed" \
		"$bin/storm" --client "$(node_ip node0)" $storm_dir
	storm1=$started
}

# Work is done between the nodes: more of it than at the last look.
storm_count_was=0
storm_moves() {
	local now
	storm_lives || return 0
	now=$(verbs_count node0) || return 1
	[ "$now" -gt $((storm_count_was + 50)) ]
}
storm_lives() { kill -0 "$storm0" 2>/dev/null && kill -0 "$storm1" 2>/dev/null; }

storm_goes_on() {
	storm_count_was=$(verbs_count node0)
	wait_until 30 storm_moves
	storm_lives && return 0
	echo "the storm is over"
	cat "$tmp/storm0" "$tmp/storm1"
	return 1
}

storm_begin() {
	storm_server "$@" && storm_client "$@" && storm_goes_on
}

# Nothing disturbs any more: every thread must succeed now.
storm_calm() {
	local status=0
	node_sh node1 "touch $storm_dir/calm" || return 1
	finish "$storm1" $((150 * PCV_SLOW)) || { echo "the client's status is $?"; status=1; }
	node_exec node0 pkill -TERM -x storm
	finish "$storm0" $((30 * PCV_SLOW)) || { echo "the server's status is $?"; status=1; }
	head -n 60 "$tmp/storm0"
	head -n 60 "$tmp/storm1"
	tail -qn 1 "$tmp/storm0" "$tmp/storm1"
	grep -q '^storm: clean' "$tmp/storm0" && grep -q '^storm: clean' "$tmp/storm1" || status=1
	return $status
}

# --- what disturbs -----------------------------------------------------------------

cut() { node_sh "$1" "echo $2 >/sys/module/\$(/run/lab/load-bridge --name)/parameters/cut"; }

# flaps NODE COUNT [LOW HIGH]: the cable of NODE is drawn that often, and given
# back when NODE has seen the end of the link; then a while, in ms.
flaps() {
	node_sh "$1" '
		cut=/sys/module/$(/run/lab/load-bridge --name)/parameters/cut
		active() { grep -v LOOPBACK /sys/kernel/debug/pcieverbs/peers | grep -q state=ACTIVE; }
		wait_for() {
			end=$(($(date +%s) + 20 * '"$PCV_SLOW"'))
			until "$@"; do
				[ $(date +%s) -lt $end ] || { echo "flap $i: not so: $*"; exit 1; }
				sleep 0.02
			done
		}
		down() { ! active; }
		for ((i = 0; i < '"$2"'; i++)); do
			echo Y >$cut
			wait_for down
			echo N >$cut
			wait_for active
			ms=$(('"${3:-50}"' + RANDOM % '"$((${4:-500} - ${3:-50} + 1))"'))
			sleep $((ms / 1000)).$(printf %03d $((ms % 1000)))
		done'
}

interface_flaps() {
	node_sh "$1" "ip link set $PCV_NETDEV down && sleep 0.3 && /run/lab/node-up again"
}

# The client lets go of the device, the module goes and comes.
storm_paused() { node_sh node1 "test -e $storm_dir/paused"; }
pause_client() {
	node_sh node1 "touch $storm_dir/pause" || return 1
	wait_until 60 storm_paused || { storm_lives; echo "the client does not pause"; return 1; }
}
go_on_client() { node_sh node1 "rm $storm_dir/paused $storm_dir/pause"; }
