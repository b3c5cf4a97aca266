#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The network interface: ping, iperf3, ssh.
# limit: 180
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
ip0=$(node_ip node0)
mtu=$(node_exec node1 cat "/sys/class/net/$PCV_NETDEV/mtu")

pings() { node_exec node1 ping -c 5 -i 0.05 -W 5 "$@" | tee "$tmp/ping"; grep -q ' 0% packet loss' "$tmp/ping"; }

# Without the neighbour's entry the first packet asks, and is answered.
arp_works() {
	node_exec node1 ip neigh flush dev "$PCV_NETDEV"
	pings -I "$PCV_NETDEV" "$ip0" || return 1
	node_exec node1 ip neigh show dev "$PCV_NETDEV" | tee "$tmp/neigh"
	grep -Eq "^$ip0 .*lladdr ([0-9a-f]{2}:){5}[0-9a-f]{2} " "$tmp/neigh"
}

ipv6() {
	local ll
	ll=$(node_sh node0 "ip -6 -o addr show dev $PCV_NETDEV scope link" | awk '{ sub("/.*", "", $4); print $4; exit }')
	[ -n "$ll" ] || { echo "node0 has no link-local address"; return 1; }
	pings -6 "$ll%$PCV_NETDEV"
}

flood() { node_exec node1 timeout $((60 * PCV_SLOW)) ping -f -c 500 -W 5 "$ip0" | tee "$tmp/ping"; grep -q ' 0% packet loss' "$tmp/ping"; }

iperf() {
	node_exec node1 timeout $((60 * PCV_SLOW)) iperf3 -c "$ip0" -t 2 -J "$@" >"$tmp/iperf" 2>&1 || { cat "$tmp/iperf"; return 1; }
	awk '/"bytes":/ { gsub("[^0-9]", ""); if ($0 + 0 > most) most = $0 + 0 }
		END { print most " bytes"; exit most < 100000 }' "$tmp/iperf"
}

# A throw-away key and daemon in a folder of node0's own.
ssh_works() {
	local d=/tmp/pcv-ssh
	node_sh node0 "set -e; rm -rf $d; mkdir -p -m 700 $d /run/sshd
		ssh-keygen -q -t ed25519 -N '' -f $d/host; ssh-keygen -q -t ed25519 -N '' -f $d/user
		cp $d/user.pub $d/authorized; chmod 600 $d/authorized" || return 1
	node_sh node0 "cat $d/user" >"$tmp/key"
	start_on node0 "$tmp/sshd" /usr/sbin/sshd -D -e -p 2222 -h $d/host -o UsePAM=no -o StrictModes=no \
		-o PidFile=none -o "AuthorizedKeysFile=$d/authorized"
	local pid=$started key status
	wait_until 20 listening node0 2222 || { cat "$tmp/sshd"; return 1; }
	key=$(cat "$tmp/key")
	node_sh node1 "umask 077; mkdir -p $d; printf '%s\n' '$key' >$d/user
		timeout $((60 * PCV_SLOW)) ssh -p 2222 -i $d/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
			-o BatchMode=yes root@$ip0 'head -c 3000000 /dev/zero | cksum; hostname'" >"$tmp/ssh" 2>&1
	status=$?
	cat "$tmp/ssh"
	kill "$pid"
	finish "$pid" 10
	[ $status -eq 0 ] && grep -q "^$(head -c 3000000 /dev/zero | cksum)" "$tmp/ssh" || { cat "$tmp/sshd"; return 1; }
}

[ -n "$PCV_LOCAL" ] || step "ARP" arp_works
for s in $(pick "0 56" "0 1 56 1472") $((mtu - 28)); do
	step "ping -s $s, not fragmented" pings -M "do" -s "$s" "$ip0"
done
step "ping -s 60000" pings -s 60000 "$ip0"
step "ping node1 from node0" node_exec node0 ping -c 3 -i 0.05 -W 5 "$(node_ip node1)"
[ -n "$PCV_LOCAL" ] || step "ping by name" pings node0
step "ping IPv6" ipv6
step "ping -f" flood
if node_exec node1 which iperf3 >/dev/null 2>&1; then
	start_on node0 "$tmp/iperf-server" iperf3 -s
	server=$started
	wait_until 20 listening node0 5201 || die "iperf3 does not listen"
	step "iperf3 TCP" iperf
	step "iperf3 TCP, reverse" iperf -R
	step "iperf3 TCP, 4 streams" iperf -P 4
	step "iperf3 UDP" iperf -u -b 50M
	step "iperf3 UDP, reverse" iperf -u -b 50M -R
	kill "$server"
	finish "$server" 10 >/dev/null
else
	say "not run: iperf3 is not installed"
fi
if node_exec node0 test -x /usr/sbin/sshd; then
	step "ssh" ssh_works
else
	say "not run: sshd is not installed"
fi
case_end
