#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Machines that share one memory and nothing else: Linux's ntb_transport with
# ntb_netdev over it, whose memory comes out of that.
. "$(dirname "$0")/../ntb.sh"
ntb_up=(--link shm --shm 16M)
ntb_begin

netdev_up() {
	node_sh node0 'ip addr add 10.9.9.1/24 dev eth0 && ip link set eth0 up' &&
		node_sh node1 'ip addr add 10.9.9.2/24 dev eth0 && ip link set eth0 up' &&
		wait_until 20 node_exec node0 ping -c 1 -W 1 10.9.9.2
}

node_comes_back() {
	node_kill node1 && node_boot node1 && ntb_load node1 &&
		client_load_on node1 ntb_transport max_num_clients=1 && client_load_on node1 ntb_netdev &&
		node_sh node1 'ip addr add 10.9.9.2/24 dev eth0 && ip link set eth0 up' &&
		wait_until 30 node_exec node0 ping -c 1 -W 1 10.9.9.2
}

step "driver loads on both nodes" ntb_each ntb_load
# One queue for the one client: queues without one are never freed by it.
step "ntb_transport loads" client_load ntb_transport max_num_clients=1
step "ntb_netdev loads" client_load ntb_netdev
step "ntb_netdev connects" netdev_up
step "ntb_netdev carries" node_exec node0 ping -q -c 20 -i 0.05 -s 30000 10.9.9.2
step "node is killed and comes back" node_comes_back
step "ntb_transport unloads" client_unload ntb_netdev ntb_transport
step "driver unloads" ntb_each ntb_unload
ntb_finish
