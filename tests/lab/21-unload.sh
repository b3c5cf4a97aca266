#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The module goes: refused or clean while in use here; with an error for those
# who use it there. Both come back.
# limit: 300
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
node_sh node0 'grep -q ^pcieverbs /proc/modules' || skip "pcieverbs is not a loaded module"
port=18800
active() { node_exec "$1" rdma link show | grep -q "^link $PCV_DEV/1 state ACTIVE"; }
reachable() { node_exec node1 ping -c 1 -W 1 "$(node_ip node0)"; }
both_active() { active node0 && active node1 && reachable; }

# Loaded again as the lab did it, and given its addresses again.
reload() {
	node_exec "$1" /run/lab/node-up again || return 1
	wait_until 30 both_active || { node_exec node0 rdma link show; node_exec node1 rdma link show; return 1; }
}

works() {
	local g0 g1
	g0=$(gid_index node0) && g1=$(gid_index node1) || return 1
	pair ibv_rc_pingpong -d "$PCV_DEV" -g "$g0" -c -n 50 -- \
		ibv_rc_pingpong -d "$PCV_DEV" -g "$g1" -c -n 50 "$(node_ip node0)"
}

busy() { [ "$(verbs_count node1)" -gt "$1" ]; }

# Unload on NODE while ib_send_bw runs between the two.
unload() {
	local node=$1 spid cpid count refused='' status=0
	port=$((port + 1))
	start_on node0 "$tmp/server" ib_send_bw -d "$PCV_DEV" -x "$(gid_index node0)" -F -p $port --run_infinitely
	spid=$started
	wait_until 20 server_ready "$spid" node0 $port || return 1
	count=$(verbs_count node1)
	start_on node1 "$tmp/client" ib_send_bw -d "$PCV_DEV" -x "$(gid_index node1)" -F -p $port --run_infinitely "$(node_ip node0)"
	cpid=$started
	wait_until 20 busy $((count + 200)) || { cat "$tmp/client"; return 1; }
	node_exec "$node" timeout $((60 * PCV_SLOW)) rmmod pcieverbs >"$tmp/rmmod" 2>&1 || refused=1
	cat "$tmp/rmmod"
	if [ -n "$refused" ]; then
		# Refused because in use, and the traffic goes on.
		grep -qi 'in use' "$tmp/rmmod" || status=1
		kill -0 "$cpid" || { echo "refused, but the client is gone"; status=1; }
		count=$(verbs_count node1)
		wait_until 10 busy $((count + 100)) || { echo "refused, but the traffic stopped"; status=1; }
		node_sh node1 "pkill -x -f 'ib_send_bw .*-p $port.*'"
		finish "$cpid" 20
		node_sh node0 "pkill -x -f 'ib_send_bw .*-p $port.*'"
		finish "$spid" 20
		return $status
	fi
	for pid in "$cpid" "$spid"; do
		finish "$pid" $((40 * PCV_SLOW)) >"$tmp/finish" && { echo "no error was seen"; status=1; }
		! grep -q 'did not end' "$tmp/finish" || { echo "still there"; status=1; }
	done
	return $status
}

# With nothing using it, unloading must work; the far side notices.
unload_idle() {
	node_exec "$1" timeout $((60 * PCV_SLOW)) rmmod pcieverbs || return 1
	! node_exec "$1" test -e "/sys/class/infiniband/$PCV_DEV"
}
far_side_noticed() { ! reachable; }

for node in $(pick node1 "node0 node1"); do
	step "rmmod on $node under traffic: refused or clean" unload $node
	step "$node is there" reload $node
	step "verbs work" works
	step "rmmod on idle $node" unload_idle $node
	step "the far side noticed" wait_until 20 far_side_noticed
	step "reload on $node" reload $node
	step "verbs work again" works
done
case_end
