/* Files and folders of the guest. */
#include "agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STAT_NO_FOLLOW = 1, MKDIR_PARENTS = 1, WRITE_TRUNCATE = 1, WRITE_APPEND = 2, WRITE_NEW = 4 };
enum { STAT_BYTES = 44, LIST_FRAME_BYTES = 16000 };

struct request {
	uint64_t offset, length;
	uint32_t credit, mode, uid, flags;
};

static uint32_t put_stat(uint8_t *at, const struct stat *found)
{
	uint64_t wide[3] = { found->st_size, found->st_mtim.tv_sec * 1000000000ull + found->st_mtim.tv_nsec, found->st_ino };
	uint32_t narrow[5] = { found->st_mode, found->st_uid, found->st_gid, found->st_nlink, found->st_rdev };
	memcpy(at, wide, sizeof wide);
	memcpy(at + sizeof wide, narrow, sizeof narrow);
	return STAT_BYTES;
}

static void list_folder(uint32_t id, const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	uint32_t length = 0;
	if (!folder) {
		send_reply(id, errno, 0);
		return;
	}
	while ((entry = readdir(folder))) {
		uint16_t name_length = strlen(entry->d_name);
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (length + 3 + name_length > LIST_FRAME_BYTES) {
			send_frame(G_OUT, 0, id, length);
			length = 0;
		}
		payload[length] = entry->d_type;
		memcpy(payload + length + 1, &name_length, 2);
		memcpy(payload + length + 3, entry->d_name, name_length);
		length += 3 + name_length;
	}
	closedir(folder);
	if (length)
		send_frame(G_OUT, 0, id, length);
	send_reply(id, 0, 0);
}

static int make_folder(char *path, const struct request *request)
{
	struct stat found;
	if (!(request->flags & MKDIR_PARENTS))
		return mkdir(path, request->mode) ? errno : 0;
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		int error = mkdir(path, 0755) && errno != EEXIST ? errno : 0;
		*slash = '/';
		if (error)
			return error;
	}
	if (!mkdir(path, request->mode))
		return 0;
	int error = errno;
	return error == EEXIST && !stat(path, &found) && S_ISDIR(found.st_mode) ? 0 : error;
}

/* Only regular files: opening or reading a FIFO or a device could wait for ever. O_NONBLOCK covers what lies between. */
static int open_regular(const char *path, int flags, uint32_t mode, struct stat *found, int *error)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
	if (fd < 0) {
		*error = errno;
	} else if (fstat(fd, found)) {
		*error = errno;
		close_fd(&fd);
	} else if (!S_ISREG(found->st_mode)) {
		*error = S_ISDIR(found->st_mode) ? EISDIR : EINVAL;
		close_fd(&fd);
	}
	return fd;
}

static void read_file(uint32_t id, const char *path, const struct request *request)
{
	struct stat found;
	int error = 0, fd = open_regular(path, O_RDONLY, 0, &found, &error);
	struct channel *channel = 0;
	if (fd >= 0 && request->offset && lseek(fd, request->offset, SEEK_SET) < 0)
		error = errno;
	if (fd >= 0 && !error && !(channel = new_channel(id, CHANNEL_READ)))
		error = EMFILE;
	if (error) {
		close_fd(&fd);
		send_reply(id, error, 0);
		return;
	}
	channel->output = fd;
	channel->credit = request->credit;
	channel->left = request->length ? request->length : UINT64_MAX;
	send_reply(id, 0, put_stat(payload + 4, &found));
}

static void write_file(uint32_t id, const char *path, const struct request *request)
{
	struct stat found;
	int flags = O_WRONLY | O_CREAT;
	if (request->flags & WRITE_TRUNCATE)
		flags |= O_TRUNC;
	if (request->flags & WRITE_APPEND)
		flags |= O_APPEND;
	if (request->flags & WRITE_NEW)
		flags |= O_EXCL;
	int error = 0, fd = open_regular(path, flags, request->mode, &found, &error);
	struct channel *channel = 0;
	if (fd >= 0 && request->offset && lseek(fd, request->offset, SEEK_SET) < 0)
		error = errno;
	if (fd >= 0 && !error && !(channel = new_channel(id, CHANNEL_WRITE)))
		error = EMFILE;
	if (error) {
		close_fd(&fd);
		send_reply(id, error, 0);
		return;
	}
	channel->input = fd;
	memcpy(payload, &channel->window, 4);
	send_frame(G_CREDIT, 0, id, 4);
}

void file_frame(int type, uint32_t id, uint8_t *body, uint32_t length)
{
	struct request request;
	struct stat found;
	if (length < sizeof request + 2 || body[length - 1]) {
		send_reply(id, EINVAL, 0);
		return;
	}
	memcpy(&request, body, sizeof request);
	char *path = (char *)body + sizeof request, *second = path + strlen(path) + 1;
	if ((type == H_READ || type == H_WRITE) && find_channel(id)) {
		send_reply(id, EBUSY, 0);
		return;
	}
	switch (type) {
	case H_STAT:
		if ((request.flags & STAT_NO_FOLLOW ? lstat : stat)(path, &found))
			send_reply(id, errno, 0);
		else
			send_reply(id, 0, put_stat(payload + 4, &found));
		break;
	case H_LIST:
		list_folder(id, path);
		break;
	case H_MKDIR:
		send_reply(id, make_folder(path, &request), 0);
		break;
	case H_REMOVE:
		send_reply(id, remove(path) ? errno : 0, 0);
		break;
	case H_RENAME:
		if ((uint8_t *)second >= body + length)
			send_reply(id, EINVAL, 0);
		else
			send_reply(id, rename(path, second) ? errno : 0, 0);
		break;
	case H_READ:
		read_file(id, path, &request);
		break;
	default:
		write_file(id, path, &request);
	}
}
