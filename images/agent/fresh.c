/* What a guest must be told after a restore or a fork: what time it is, who it is, and randomness nobody else has. */
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TLV_CLOCK = 1, TLV_SEED, TLV_HOSTNAME, TLV_MACHINE_ID, TLV_MAC };
enum { MIN_SEED = 32, MAX_SEED = 512, MAC_BYTES = 6, TLV_HEADER = 4 };

/* linux/random.h */
#define IOCTL_RNDADDENTROPY _IOW('R', 3, int[2])
#define IOCTL_RNDRESEEDCRNG _IO('R', 7)

static const char RUN_HOOKS[] = "for hook in /etc/corral/fresh.d/*; do [ -x \"$hook\" ] && \"$hook\"; done";

int replace_contents(const char *path, const void *bytes, uint32_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	int whole = write(fd, bytes, length) == (ssize_t)length;
	close(fd);
	return whole ? 0 : -1;
}

static int set_clock(const uint8_t *value)
{
	uint64_t nanoseconds;
	memcpy(&nanoseconds, value, sizeof nanoseconds);
	struct timespec time = { nanoseconds / 1000000000, nanoseconds % 1000000000 };
	return clock_settime(CLOCK_REALTIME, &time);
}

static int add_seed(uint8_t *value, uint32_t length)
{
	/* struct rand_pool_info, random(4) */
	struct {
		int entropy_bits, size;
		uint8_t bytes[MAX_SEED];
	} pool = { length * 8, length, { 0 } };
	memcpy(pool.bytes, value, length);
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	int failed = ioctl(fd, IOCTL_RNDADDENTROPY, &pool);
	failed |= ioctl(fd, IOCTL_RNDRESEEDCRNG);
	close(fd);
	explicit_bzero(&pool, sizeof pool);
	explicit_bzero(value, length);
	return failed;
}

static int set_hostname(const uint8_t *value, uint32_t length)
{
	return sethostname((const char *)value, length) | replace_contents("/etc/hostname", value, length);
}

/* Through down and up, which also gives the interface a new link-local address; nothing when it has this one already. */
static int set_mac(const uint8_t *value, uint32_t length)
{
	struct ifreq flags = { 0 }, address;
	uint32_t name_length = length - MAC_BYTES;
	if (name_length >= sizeof flags.ifr_name)
		return -1;
	memcpy(flags.ifr_name, value + MAC_BYTES, name_length);
	address = flags;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int failed = ioctl(fd, SIOCGIFFLAGS, &flags) | ioctl(fd, SIOCGIFHWADDR, &address);
	if (!failed && memcmp(address.ifr_hwaddr.sa_data, value, MAC_BYTES)) {
		int was_up = flags.ifr_flags;
		flags.ifr_flags = was_up & ~IFF_UP;
		if (was_up & IFF_UP)
			ioctl(fd, SIOCSIFFLAGS, &flags);
		address.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(address.ifr_hwaddr.sa_data, value, MAC_BYTES);
		failed = ioctl(fd, SIOCSIFHWADDR, &address);
		flags.ifr_flags = was_up;
		if (was_up & IFF_UP)
			ioctl(fd, SIOCSIFFLAGS, &flags);
	}
	close(fd);
	return failed;
}

uint32_t apply_freshness(uint8_t *tlvs, uint32_t length)
{
	uint32_t failed = 0;
	int seeded = 0;
	while (length) {
		uint16_t type, size;
		if (length < TLV_HEADER)
			return failed | 1;
		memcpy(&type, tlvs, 2);
		memcpy(&size, tlvs + 2, 2);
		tlvs += TLV_HEADER;
		length -= TLV_HEADER;
		if (size > length)
			return failed | 1;
		int bad = -1;
		if (type == TLV_CLOCK && size == 8)
			bad = set_clock(tlvs);
		else if (type == TLV_SEED && size >= MIN_SEED && size <= MAX_SEED)
			seeded = !(bad = add_seed(tlvs, size));
		else if (type == TLV_HOSTNAME && size)
			bad = set_hostname(tlvs, size);
		else if (type == TLV_MACHINE_ID && size)
			bad = replace_contents("/etc/machine-id", tlvs, size);
		else if (type == TLV_MAC && size > MAC_BYTES)
			bad = set_mac(tlvs, size);
		if (bad)
			failed |= type < 32 ? 1u << type : 1;
		tlvs += size;
		length -= size;
	}
	if (seeded && !access("/etc/corral/fresh.d", F_OK))
		run_detached(RUN_HOOKS);
	return failed;
}
