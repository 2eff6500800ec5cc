#!/bin/sh
# Makes an ext4 disk of Debian packages: unpack, configure in a chroot, trim, add our own files.
# Runs as root, or as root of a user namespace with a full range of ids; in a mount namespace of its own where that is allowed.
# Usage: build-rootfs.sh <work folder> <package folder> <disk image> <spare MiB> <overlay folder>...
# The work folder holds the file lists "essential" and "others". Each package makes a line "Unpacking ..." and one "Setting up ...".
set -eu
work=$1 packages=$2 disk=$3 spare=$4
shift 4
root=$work/root

# Debian's merged /usr; no package makes these links.
mkdir -p "$root/usr"
for folder in bin sbin lib; do
  mkdir -p "$root/usr/$folder"
  ln -s "usr/$folder" "$root/$folder"
done
while read -r file; do
  dpkg-deb --fsys-tarfile "$packages/$file" | tar -C "$root" --keep-directory-symlink -xpf -
done < "$work/essential"

mount -t proc proc "$root/proc" 2> /dev/null || true
for device in null zero full random urandom tty; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device" 2> /dev/null || { rm "$root/dev/$device"; cp -a "/dev/$device" "$root/dev/$device"; }
done
mkdir -p "$root/var/cache/corral" "$root/etc/dpkg/dpkg.cfg.d"
mount --bind "$packages" "$root/var/cache/corral" 2> /dev/null || (cd "$packages" && cat "$work/essential" "$work/others" | xargs cp -t "$root/var/cache/corral")
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
# Licences stay; manuals and translations would be a fifth of the disk.
cat > "$root/etc/dpkg/dpkg.cfg.d/corral" << 'END'
force-unsafe-io
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
END
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
in_root() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true \
    chroot "$root" "$@"
}
# dpkg is told to go on where dependencies are circular; the audit below says whether everything came right.
install() { sed 's,^,/var/cache/corral/,' "$1" | in_root xargs dpkg --force-depends --install 2>&1; }
install "$work/essential"
install "$work/others"
problems=$(in_root dpkg --audit)
if [ -n "$problems" ]; then
  echo "$problems"
  exit 1
fi

umount "$root/var/cache/corral" 2> /dev/null || true
for device in null zero full random urandom tty; do umount "$root/dev/$device" 2> /dev/null || true; done
umount "$root/proc" 2> /dev/null || true
rm -rf "$root/var/cache/corral" "$root/usr/sbin/policy-rc.d" "$root"/dev/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin \
  "$root"/var/log/*.log "$root"/var/log/apt "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/usr/share/info/* "$root"/tmp/*
find "$root/usr/share/doc" -type f ! -name copyright -delete
: > "$root/etc/machine-id"

for overlay in "$@"; do cp -R --no-dereference "$overlay/." "$root/"; done
chown -R 0:0 "$root/etc/init.d" "$root/usr/local" "$root/usr/sbin/corral-guest-agent"
for name in init poweroff reboot halt; do ln -sf /bin/busybox "$root/sbin/$name"; done
if [ -x "$root/usr/local/bin/corral-desktop" ]; then in_root fc-cache -s; fi
in_root ldconfig

size=$(($(du -sm --apparent-size "$root" | cut -f1) * 108 / 100 + spare))
size=$(((size + 63) / 64 * 64))
# No journal: a machine's disk is a copy-on-write overlay, and a crash of the emulator loses both alike.
mke2fs -q -F -t ext4 -L root -U 5f1c7a34-7a3f-4b0e-9c53-0c6f1d5a2e11 -E hash_seed=5f1c7a34-7a3f-4b0e-9c53-0c6f1d5a2e11,root_owner=0:0 \
  -O ^has_journal,^metadata_csum,^64bit -m 0 -d "$root" "$disk" "${size}M"
rm -rf "$root"
