#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# A kernel's own user of verbs: a disk of the other node by NVMe over Fabrics, whose initiator
# registers memory by work requests, and whose target reads from it, writes to it and
# invalidates it. What was written is compared at both ends.
# limit: 300
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
[ -z "$PCV_LOCAL" ] || skip "needs nodes"
case_begin
nqn=nqn.2014-08.org.nvmexpress:pcv
id=3f2b7a54-0d5c-4c9e-9a51-70637665726e
host=nqn.2014-08.org.nvmexpress:uuid:$id
mib=$(pick 8 32)
idle0=$(resources node0)
idle1=$(resources node1)

leave() {
	node_sh node1 'for c in /sys/class/nvme/nvme*/delete_controller; do [ ! -e $c ] || echo 1 >$c; done'
	node_sh node0 'cd /sys/kernel/config/nvmet 2>/dev/null || exit 0
		rm -f ports/1/subsystems/*
		rmdir ports/1 subsystems/*/namespaces/1 subsystems/*
		true'
	for node in node0 node1; do
		node_sh $node 'modprobe -qr nvme-rdma; modprobe -qr nvmet-rdma; modprobe -qr brd; true'
	done
} 2>/dev/null

# serve: a disk in node0's memory, for all.
serve() {
	node_sh node0 'modprobe brd rd_nr=1 rd_size='$((2 * mib * 1024))' && modprobe nvmet-rdma || exit 1
		[ -d /sys/kernel/config/nvmet ] || mount -t configfs none /sys/kernel/config || exit 1
		cd /sys/kernel/config/nvmet || exit 1
		mkdir -p subsystems/'$nqn'/namespaces/1 ports/1 || exit 1
		cd subsystems/'$nqn'
		echo 1 >attr_allow_any_host && echo -n /dev/ram0 >namespaces/1/device_path &&
			echo 1 >namespaces/1/enable || exit 1
		cd ../../ports/1
		echo rdma >addr_trtype && echo ipv4 >addr_adrfam && echo '"$PCV_IP0"' >addr_traddr &&
			echo 4420 >addr_trsvcid && ln -s ../../subsystems/'$nqn' subsystems/'
}

# connect: the disk appears in node1.
connect() {
	node_sh node1 'modprobe nvme-rdma || exit 1
		echo "transport=rdma,traddr='"$PCV_IP0"',trsvcid=4420,nqn='$nqn',hostnqn='$host',hostid='$id',nr_io_queues=2,reconnect_delay=1" \
			>/dev/nvme-fabrics || exit 1
		cat /sys/class/nvme/nvme*/transport'
	wait_until 10 node_sh node1 '[ -b /dev/nvme0n1 ]'
}

# copies BYTES: written in pieces of that size, past the cache, and read back; and the target
# has the same.
copies() {
	node_sh node1 'head -c '$((mib << 20))' /dev/urandom >/tmp/nvme.data || exit 1
		dd if=/tmp/nvme.data of=/dev/nvme0n1 bs='"$1"' oflag=direct status=none || exit 1
		dd if=/dev/nvme0n1 bs='"$1"' count='$(((mib << 20) / $1))' iflag=direct status=none |
			cmp - /tmp/nvme.data || exit 1
		md5sum </tmp/nvme.data' >"$tmp/sum1" || { cat "$tmp/sum1"; return 1; }
	node_sh node0 'dd if=/dev/ram0 bs=1M count='$mib' iflag=direct status=none | md5sum' >"$tmp/sum0"
	cmp "$tmp/sum0" "$tmp/sum1"
}

# Several at once, of odd sizes, each on its own part of the disk.
many() {
	node_sh node1 'n=0
		for size in 512 1536 4608 65536 131072 1048576; do
			(
				f=/tmp/nvme.$size
				head -c 1048576 /tmp/nvme.data | head -c $((1048576 / size * size)) >$f
				for i in 1 2 3; do
					dd if=$f of=/dev/nvme0n1 bs=$size seek=$((n * 1048576)) \
						oflag=direct,seek_bytes conv=notrunc status=none &&
						dd if=/dev/nvme0n1 bs=$size skip=$((n * 1048576)) \
						count=$((1048576 / size)) iflag=direct,skip_bytes status=none |
						cmp - $f || exit 1
				done
				rm $f
			) &
			pids="$pids $!" n=$((n + 1))
		done
		for p in $pids; do wait $p || bad=1; done
		[ -z "$bad" ]'
}

# The target goes away under its initiator, and comes back.
returns() {
	node_sh node0 'cd /sys/kernel/config/nvmet/ports/1/subsystems && rm '$nqn' && ln -s ../../../subsystems/'$nqn' .' ||
		return 1
	wait_until 30 node_sh node1 'grep -qx live /sys/class/nvme/nvme*/state' || {
		node_sh node1 'cat /sys/class/nvme/nvme*/state'
		return 1
	}
	copies 65536
}

trap 'leave; case_cleanup' EXIT
for node in node0 node1; do
	for module in nvme-rdma nvmet-rdma brd; do
		node_exec $node modprobe -n -q $module || skip "this kernel has no $module"
	done
done
step "a disk for others" serve
step "node1 connects to it" connect || die "no disk"
for size in 4096 131072 1048576; do
	step "written and read in pieces of $size" carried_by_verbs 10 100000 copies $size
done
step "many at once" many
step "the target goes and returns" returns
step "node1 leaves it" node_sh node1 'echo 1 >/sys/class/nvme/nvme0/delete_controller'
leave
# The kernel's pool of completion queues stays with the device, and must go with it.
for node in node0 node1; do
	step "the device of $node goes, and returns" reloads $node 1
done
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
case_end
