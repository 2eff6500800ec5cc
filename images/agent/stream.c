/* Bytes between the host and a channel's descriptors, within the credits of both. */
#include "agent.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void acknowledge(struct channel *channel, uint32_t length)
{
	channel->unacknowledged += length;
	if (channel->unacknowledged < INPUT_WINDOW / 2)
		return;
	memcpy(payload, &channel->unacknowledged, 4);
	send_frame(G_CREDIT, 0, channel->id, 4);
	channel->window += channel->unacknowledged;
	channel->unacknowledged = 0;
}

/* Returns how much was written; -1 when the descriptor will take no more, with the channel perhaps gone. */
static int32_t write_some(struct channel *channel, const uint8_t *bytes, uint32_t length)
{
	ssize_t written = write(channel->input, bytes, length);
	if (written >= 0) {
		acknowledge(channel, written);
		return written;
	}
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	if (channel->kind == CHANNEL_WRITE) {
		send_reply(channel->id, errno, 0);
		free_channel(channel);
	} else if (channel->is_pty) {
		channel->input = -1;
	} else {
		close_fd(&channel->input);
	}
	return -1;
}

static void end_of_input(struct channel *channel)
{
	if (channel->kind == CHANNEL_WRITE) {
		int error = close(channel->input) ? errno : 0;
		channel->input = -1;
		send_reply(channel->id, error, 0);
		free_channel(channel);
	} else if (channel->is_pty) {
		/* ^D, VEOF: what a person at a terminal types. */
		if (write(channel->input, "\4", 1) < 0 && errno == EAGAIN)
			return;
		channel->close_input = 0;
	} else {
		close_fd(&channel->input);
	}
}

void write_queued(struct channel *channel)
{
	while (channel->queue_length) {
		int32_t written = write_some(channel, channel->queue + channel->queue_start, channel->queue_length);
		if (written < 0)
			return;
		if (written == 0)
			return;
		channel->queue_start += written;
		channel->queue_length -= written;
	}
	channel->queue_start = 0;
	if (channel->close_input)
		end_of_input(channel);
}

static int enqueue(struct channel *channel, const uint8_t *bytes, uint32_t length)
{
	if (!channel->queue && !(channel->queue = malloc(INPUT_WINDOW)))
		return 0;
	if (channel->queue_start + channel->queue_length + length > INPUT_WINDOW) {
		memmove(channel->queue, channel->queue + channel->queue_start, channel->queue_length);
		channel->queue_start = 0;
	}
	memcpy(channel->queue + channel->queue_start + channel->queue_length, bytes, length);
	channel->queue_length += length;
	return 1;
}

void take_input(struct channel *channel, const uint8_t *bytes, uint32_t length, int eof)
{
	if (channel->kind != CHANNEL_EXEC && channel->kind != CHANNEL_WRITE)
		return;
	if (length > channel->window) {
		uint32_t id = channel->id;
		abandon_channel(channel);
		send_reply(id, EPROTO, 0);
		return;
	}
	channel->window -= length;
	if (channel->input < 0) {
		/* The child has closed its stdin: taken, and thrown away, as a shell's pipe would with SIGPIPE ignored. */
		acknowledge(channel, length);
		return;
	}
	if (eof)
		channel->close_input = 1;
	if (!channel->queue_length && length) {
		int32_t written = write_some(channel, bytes, length);
		if (written < 0)
			return;
		bytes += written;
		length -= written;
	}
	if (length && !enqueue(channel, bytes, length)) {
		uint32_t id = channel->id;
		abandon_channel(channel);
		send_reply(id, ENOMEM, 0);
		return;
	}
	write_queued(channel);
}

static void end_file_read(struct channel *channel, int error)
{
	int32_t number = error;
	memcpy(payload, &number, 4);
	send_frame(G_END, 0, channel->id, 4);
	free_channel(channel);
}

/* At most one frame a turn, so that channels take turns. */
void send_output(struct channel *channel, int *fd, int type)
{
	if (*fd < 0 || !channel->credit)
		return;
	uint32_t length = channel->credit < MAX_GUEST_PAYLOAD ? channel->credit : MAX_GUEST_PAYLOAD;
	if (channel->kind == CHANNEL_READ && channel->left < length)
		length = channel->left;
	ssize_t got = length ? read(*fd, payload, length) : 0;
	if (got > 0) {
		channel->credit -= got;
		channel->left -= got;
		channel->held_since_ms = 0;
		send_frame(type, 0, channel->id, got);
		return;
	}
	if (got < 0 && errno == EINTR)
		return;
	if (channel->kind == CHANNEL_READ) {
		end_file_read(channel, got < 0 && errno != EAGAIN ? errno : 0);
		return;
	}
	if (got < 0 && errno == EAGAIN)
		return;
	/* A pty whose last user has gone answers EIO; one descriptor was both directions. */
	if (channel->is_pty)
		channel->input = -1;
	close_fd(fd);
}
