/*
 * Corral's guest agent: what its files share. The protocol is docs/guest-agent.md; type and flag numbers are from there.
 * One thread does everything except read and write the pipes of children, which may block (relay.c).
 */
#ifndef CORRAL_AGENT_H
#define CORRAL_AGENT_H

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>

enum host_frame {
	H_HELLO = 1, H_PING, H_EXEC, H_DATA, H_SIGNAL, H_RESIZE, H_CREDIT, H_CLOSE, H_READ, H_WRITE, H_STAT, H_LIST, H_MKDIR,
	H_REMOVE, H_RENAME, H_FRESH, H_SYNC, H_FREEZE, H_THAW, H_POWER, H_ECHO
};
enum guest_frame {
	G_HELLO = 0x81, G_PONG, G_STARTED, G_OUT, G_ERR, G_EXIT, G_CREDIT, G_REPLY, G_END
};
enum { FLAG_EOF = 1, FLAG_MORE = 2 };
enum { HELLO_KEEP = 1, HELLO_STARTED = 1 };
enum { EXEC_PTY = 1, EXEC_STDIN = 2, EXEC_MERGE = 16 };
enum { EXIT_TIMED_OUT = 1, EXIT_OUTPUT_HELD = 2 };

enum {
	PROTOCOL_VERSION = 1,
	MAX_CHANNELS = 64,
	MAX_HOST_PAYLOAD = 4080,
	MAX_GUEST_PAYLOAD = 32000,
	INPUT_WINDOW = 65536,
	MAX_EXEC_BODY = 256 * 1024,
	/* How long a dead child's output may be silent, though somebody holds it open, before EXIT is sent. */
	HELD_OUTPUT_MS = 200
};

struct header {
	uint32_t magic;
	uint8_t type, flags;
	uint16_t epoch;
	uint32_t channel;
	uint16_t length, sum;
};

enum channel_kind { CHANNEL_FREE, CHANNEL_COLLECTING, CHANNEL_EXEC, CHANNEL_READ, CHANNEL_WRITE };

struct channel {
	enum channel_kind kind;
	uint32_t id;
	/* Where we write the child's input or the file, and read its output: -1 when closed. A pty has one for both. */
	int input, output, error;
	uint32_t credit;

	/* Input that could not be written yet, and what the host may still send. */
	uint8_t *queue;
	uint32_t queue_start, queue_length, window, unacknowledged;
	int close_input;

	/* CHANNEL_EXEC */
	int pid, is_pty, reaped, status, timed_out;
	int64_t deadline_ms, held_since_ms;
	struct rusage usage;

	/* CHANNEL_READ */
	uint64_t left;

	/* CHANNEL_COLLECTING: an EXEC that comes in several frames */
	uint8_t *body;
	uint32_t body_length;
};

/* main.c */
extern struct channel channels[MAX_CHANNELS];
struct channel *find_channel(uint32_t id);
struct channel *new_channel(uint32_t id, enum channel_kind kind);
void free_channel(struct channel *channel);
void abandon_channel(struct channel *channel);
void close_fd(int *fd);
int64_t now_ms(void);

/* frame.c */
extern int port;
extern uint16_t session_epoch;
/* Where to put the payload of the next frame. */
extern uint8_t *const payload;
int open_port(const char *name);
void send_frame(int type, int flags, uint32_t channel, uint32_t length);
/* A REPLY whose details, if any, already lie behind the errno in the payload. */
void send_reply(uint32_t channel, int error, uint32_t details);
/* Reads what has come and calls on_frame for each frame in it. */
void receive(void (*on_frame)(const struct header *header, uint8_t *body));

/* exec.c */
void exec_frame(const struct header *header, uint8_t *body);
void reap_children(void);
void end_exec_if_done(struct channel *channel);
void kill_child(const struct channel *channel, int signal);
/* Runs a shell command that nobody waits for. */
void run_detached(const char *command);

/* relay.c */
/* A thread that carries bytes from one descriptor to the other, owns both, and ends with either. Returns an errno. */
int start_relay(int from, int to);

/* stream.c */
void take_input(struct channel *channel, const uint8_t *bytes, uint32_t length, int eof);
void write_queued(struct channel *channel);
void send_output(struct channel *channel, int *fd, int type);

/* files.c */
void file_frame(int type, uint32_t id, uint8_t *body, uint32_t length);

/* fresh.c */
/* Applies freshness TLVs; a bit per TLV type that failed. */
uint32_t apply_freshness(uint8_t *tlvs, uint32_t length);
int replace_contents(const char *path, const void *bytes, uint32_t length);

/* machine.c */
void machine_frame(int type, uint32_t id, const uint8_t *body, uint32_t length);

#endif
