/* The machine as a whole: its file systems' consistency, and its end. */
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <unistd.h>

/* linux/fs.h */
#define IOCTL_FIFREEZE _IOWR('X', 119, int)
#define IOCTL_FITHAW _IOWR('X', 120, int)

enum { GRACE_US = 300000 };

static int freeze_or_thaw(int type, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno;
	int error = ioctl(fd, type == H_FREEZE ? IOCTL_FIFREEZE : IOCTL_FITHAW, 0) ? errno : 0;
	close(fd);
	return error;
}

static void power(int restart, int force)
{
	const char *command = restart ? "/sbin/reboot" : "/sbin/poweroff";
	if (!force && !access(command, X_OK)) {
		run_detached(command);
		return;
	}
	kill(-1, SIGTERM);
	usleep(GRACE_US);
	kill(-1, SIGKILL);
	sync();
	reboot(restart ? RB_AUTOBOOT : RB_POWER_OFF);
}

void machine_frame(int type, uint32_t id, const uint8_t *body, uint32_t length)
{
	switch (type) {
	case H_SYNC:
		sync();
		send_reply(id, 0, 0);
		break;
	case H_FREEZE:
	case H_THAW:
		send_reply(id, !length || body[length - 1] ? EINVAL : freeze_or_thaw(type, (const char *)body), 0);
		break;
	default:
		if (!length || (body[0] != 'p' && body[0] != 'r')) {
			send_reply(id, EINVAL, 0);
			break;
		}
		send_reply(id, 0, 0);
		power(body[0] == 'r', length > 1 && body[1] == 'f');
	}
}
