/* The agent's one loop: frames from the host, output of children, input they can take again, and deadlines. */
#include "agent.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ECHO = 64, PORT_TRIES_QUICK = 250 };

struct channel channels[MAX_CHANNELS];
static uint64_t session;
static volatile sig_atomic_t child_ended;

int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct channel *find_channel(uint32_t id)
{
	for (int i = 0; i < MAX_CHANNELS; i++)
		if (channels[i].kind != CHANNEL_FREE && channels[i].id == id)
			return &channels[i];
	return 0;
}

struct channel *new_channel(uint32_t id, enum channel_kind kind)
{
	for (int i = 0; i < MAX_CHANNELS; i++)
		if (channels[i].kind == CHANNEL_FREE) {
			channels[i] = (struct channel){ .kind = kind, .id = id, .input = -1, .output = -1, .error = -1, .window = INPUT_WINDOW };
			return &channels[i];
		}
	return 0;
}

void free_channel(struct channel *channel)
{
	if (channel->is_pty && channel->input == channel->output)
		channel->input = -1;
	close_fd(&channel->input);
	close_fd(&channel->output);
	close_fd(&channel->error);
	free(channel->queue);
	free(channel->body);
	*channel = (struct channel){ .kind = CHANNEL_FREE };
}

void abandon_channel(struct channel *channel)
{
	kill_child(channel, SIGKILL);
	free_channel(channel);
}

static void hello(const struct header *header, uint8_t *body)
{
	uint64_t wanted;
	uint32_t flags, length = header->length;
	if (length < 12)
		return;
	memcpy(&wanted, body, 8);
	memcpy(&flags, body + 8, 4);
	if (wanted != session && !(flags & HELLO_KEEP))
		for (int i = 0; i < MAX_CHANNELS; i++)
			if (channels[i].kind != CHANNEL_FREE)
				abandon_channel(&channels[i]);
	session = wanted;
	session_epoch = header->epoch;
	uint32_t answer[3] = { PROTOCOL_VERSION, apply_freshness(body + 12, length - 12), getpid() };
	memcpy(payload, &session, 8);
	memcpy(payload + 8, answer, sizeof answer);
	uint32_t size = 8 + sizeof answer;
	for (int i = 0; i < MAX_CHANNELS; i++)
		if (channels[i].kind != CHANNEL_FREE) {
			memcpy(payload + size, &channels[i].id, 4);
			size += 4;
		}
	send_frame(G_HELLO, 0, 0, size);
}

static void ping(const struct header *header, const uint8_t *body)
{
	int64_t now = now_ms();
	uint32_t length = header->length < MAX_ECHO ? header->length : MAX_ECHO;
	memcpy(payload, &now, 8);
	memcpy(payload + 8, body, length);
	send_frame(G_PONG, 0, header->channel, 8 + length);
}

/* What concerns a channel that must exist: the host may speak of one that has just ended, which is no error. */
static void channel_frame(const struct header *header, const uint8_t *body)
{
	struct channel *channel = find_channel(header->channel);
	uint32_t value = 0;
	if (!channel)
		return;
	if (header->length >= 4)
		memcpy(&value, body, 4);
	switch (header->type) {
	case H_DATA:
		take_input(channel, body, header->length, header->flags & FLAG_EOF);
		break;
	case H_CREDIT:
		/* Never past 4 GiB, where it would wrap to none. */
		channel->credit = value > UINT32_MAX - channel->credit ? UINT32_MAX : channel->credit + value;
		break;
	case H_SIGNAL:
		if (header->length < 8 || channel->kind != CHANNEL_EXEC || channel->reaped)
			break;
		kill(body[4] ? -channel->pid : channel->pid, (int32_t)value);
		break;
	case H_RESIZE:
		if (header->length >= 4 && channel->is_pty && channel->output >= 0) {
			struct winsize size = { body[0] | body[1] << 8, body[2] | body[3] << 8, 0, 0 };
			ioctl(channel->output, TIOCSWINSZ, &size);
		}
		break;
	case H_CLOSE:
		abandon_channel(channel);
		break;
	}
}

static void on_frame(const struct header *header, uint8_t *body)
{
	if (header->type == H_HELLO) {
		hello(header, body);
		return;
	}
	if (header->epoch != session_epoch)
		return;
	switch (header->type) {
	case H_PING:
		ping(header, body);
		break;
	case H_ECHO:
		memcpy(payload, body, header->length);
		send_frame(G_OUT, 0, header->channel, header->length);
		break;
	case H_EXEC:
		exec_frame(header, body);
		break;
	case H_DATA: case H_SIGNAL: case H_RESIZE: case H_CREDIT: case H_CLOSE:
		channel_frame(header, body);
		break;
	case H_READ: case H_WRITE: case H_STAT: case H_LIST: case H_MKDIR: case H_REMOVE: case H_RENAME:
		file_frame(header->type, header->channel, body, header->length);
		break;
	case H_FRESH: {
		uint32_t failed = apply_freshness(body, header->length);
		memcpy(payload + 4, &failed, 4);
		send_reply(header->channel, 0, 4);
		break;
	}
	case H_SYNC: case H_FREEZE: case H_THAW: case H_POWER:
		machine_frame(header->type, header->channel, body, header->length);
		break;
	default:
		send_reply(header->channel, ENOSYS, 0);
	}
}

static void on_child_signal(int number)
{
	(void)number;
	child_ended = 1;
}

/* What a descriptor in the poll set is for. */
enum purpose { READ_OUTPUT, READ_ERROR, WRITE_INPUT };
struct interest {
	struct channel *channel;
	enum purpose purpose;
};
static struct pollfd polled[1 + MAX_CHANNELS * 3];
static struct interest interests[1 + MAX_CHANNELS * 3];
static int polled_count;

static void watch(struct channel *channel, enum purpose purpose, int fd, short events)
{
	polled[polled_count] = (struct pollfd){ fd, events, 0 };
	interests[polled_count++] = (struct interest){ channel, purpose };
}

/* Fills the poll set, starting each turn at another channel. Returns how long may be slept: -1 for ever, 0 not at all. */
static int64_t gather(void)
{
	static unsigned turn;
	int64_t now = 0, sleep_ms = -1;
	polled[0] = (struct pollfd){ port, POLLIN, 0 };
	polled_count = 1;
	turn++;
	for (unsigned i = 0; i < MAX_CHANNELS; i++) {
		struct channel *channel = &channels[(turn + i) % MAX_CHANNELS];
		if (channel->kind == CHANNEL_FREE || channel->kind == CHANNEL_COLLECTING)
			continue;
		/* A regular file is always ready: no need to ask, and no credit to read it means nothing to do. */
		if (channel->kind == CHANNEL_READ) {
			if (channel->credit) {
				watch(channel, READ_OUTPUT, -1, 0);
				sleep_ms = 0;
			}
			continue;
		}
		if (channel->output >= 0 && channel->credit)
			watch(channel, READ_OUTPUT, channel->output, POLLIN);
		if (channel->error >= 0 && channel->credit)
			watch(channel, READ_ERROR, channel->error, POLLIN);
		if (channel->input >= 0 && (channel->queue_length || (channel->is_pty && channel->close_input)))
			watch(channel, WRITE_INPUT, channel->input, POLLOUT);
		int64_t due = channel->reaped ? 0 : channel->deadline_ms;
		if (channel->reaped && channel->held_since_ms)
			due = channel->held_since_ms + HELD_OUTPUT_MS;
		if (due) {
			now = now ? now : now_ms();
			int64_t wait = due > now ? due - now : 0;
			if (sleep_ms < 0 || wait < sleep_ms)
				sleep_ms = wait;
		}
	}
	return sleep_ms;
}

static void serve_channels(void)
{
	for (int i = 1; i < polled_count; i++) {
		struct channel *channel = interests[i].channel;
		if (channel->kind == CHANNEL_FREE || !(polled[i].revents || polled[i].fd < 0))
			continue;
		/* A frame in between may have given this slot to another channel; its descriptors do not block, so no harm. */
		if (interests[i].purpose == WRITE_INPUT)
			write_queued(channel);
		else if (interests[i].purpose == READ_OUTPUT)
			send_output(channel, &channel->output, G_OUT);
		else
			send_output(channel, &channel->error, G_ERR);
	}
}

static void serve_deadlines(void)
{
	for (int i = 0; i < MAX_CHANNELS; i++) {
		struct channel *channel = &channels[i];
		if (channel->kind != CHANNEL_EXEC)
			continue;
		if (channel->deadline_ms && !channel->reaped && channel->deadline_ms <= now_ms()) {
			channel->deadline_ms = 0;
			channel->timed_out = 1;
			kill_child(channel, SIGKILL);
		}
		end_exec_if_done(channel);
	}
}

static void wait_for_port(void)
{
	for (int tries = 0;; tries++) {
		if ((port = open_port("corral.agent.0")) >= 0 || (port = open_port("virtio-1")) >= 0)
			return;
		usleep(tries < PORT_TRIES_QUICK ? 20000 : 1000000);
	}
}

int main(void)
{
	sigset_t blocked, waiting;
	struct sigaction on_child = { .sa_handler = on_child_signal, .sa_flags = SA_NOCLDSTOP };
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGCHLD, &on_child, 0);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);
	sigdelset(&waiting, SIGCHLD);
	setpriority(PRIO_PROCESS, 0, -10);
	replace_contents("/proc/self/oom_score_adj", "-1000", 5);
	wait_for_port();
	send_frame(G_HELLO, HELLO_STARTED, 0, 0);
	for (;;) {
		int64_t sleep_ms = gather();
		struct timespec timeout = { sleep_ms / 1000, sleep_ms % 1000 * 1000000 };
		int ready = ppoll(polled, polled_count, sleep_ms < 0 ? 0 : &timeout, &waiting);
		if (ready < 0)
			for (int i = 0; i < polled_count; i++)
				polled[i].revents = 0;
		if (child_ended) {
			child_ended = 0;
			reap_children();
		}
		if (polled[0].revents)
			receive(on_frame);
		serve_channels();
		serve_deadlines();
	}
}
