/* Children: starting, signalling, and saying how they ended. */
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* asm-generic/ioctls.h: opens the other side of a pty without needing its path. */
enum { IOCTL_TIOCGPTPEER = 0x5441 };
/* Debian's and our images' group of terminals. */
enum { TTY_GROUP = 5 };
enum { MAX_STRINGS = 1024, DEFAULT_VARIABLES = 4, CHILD_STACK = 16384, MAX_PATH = 4096 };

struct request {
	uint32_t credit, uid, gid, timeout_ms;
	uint16_t rows, columns, flags, argument_count, variable_count, unused;
};

static char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static char *const default_variables[DEFAULT_VARIABLES] = { default_path, "HOME=/root", "TERM=xterm", "LANG=C.UTF-8" };

/* What the child reads before it becomes another program. It shares our memory until then (CLONE_VM | CLONE_VFORK). */
static struct {
	struct request request;
	char *directory, *arguments[MAX_STRINGS + 1], *variables[MAX_STRINGS + DEFAULT_VARIABLES + 1];
	int input, output, error;
	volatile int failure;
} plan;

static void execute_from_path(void)
{
	static char file[MAX_PATH];
	const char *path = default_path + 5, *name = plan.arguments[0];
	size_t name_length = strlen(name);
	int refused = 0;
	for (char **variable = plan.variables; *variable; variable++)
		if (!strncmp(*variable, "PATH=", 5))
			path = *variable + 5;
	while (*path) {
		const char *end = strchrnul(path, ':');
		size_t length = end - path;
		if (length && length + name_length + 2 <= sizeof file) {
			memcpy(file, path, length);
			file[length] = '/';
			memcpy(file + length + 1, name, name_length + 1);
			execve(file, plan.arguments, plan.variables);
			if (errno == EACCES)
				refused = 1;
			else if (errno != ENOENT && errno != ENOTDIR)
				return;
		}
		path = *end ? end + 1 : end;
	}
	errno = refused ? EACCES : ENOENT;
}

static int become_user(void)
{
	gid_t gid = plan.request.gid;
	uid_t uid = plan.request.uid;
	if (!gid && !uid)
		return 1;
	/* The system calls themselves: the C library's wrappers would change every thread of the agent. */
	return !syscall(SYS_setgroups32, 1, &gid) && !syscall(SYS_setresgid32, gid, gid, gid) &&
	       !syscall(SYS_setresuid32, uid, uid, uid);
}

static int child_main(void *unused)
{
	(void)unused;
	struct sigaction normal = { .sa_handler = SIG_DFL };
	sigset_t none;
	for (int number = 1; number < 32; number++)
		if (number != SIGKILL && number != SIGSTOP)
			sigaction(number, &normal, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, 0);
	/* The agent runs before others and is not for the out-of-memory killer; its children are like any program. */
	setpriority(PRIO_PROCESS, 0, 0);
	replace_contents("/proc/self/oom_score_adj", "0", 1);
	setsid();
	if (plan.request.flags & EXEC_PTY)
		ioctl(plan.input, TIOCSCTTY, 0);
	if (dup2(plan.input, 0) < 0 || dup2(plan.output, 1) < 0 || dup2(plan.error, 2) < 0)
		goto failed;
	if (!become_user())
		goto failed;
	if (plan.directory[0]) {
		if (chdir(plan.directory))
			goto failed;
	} else if (chdir("/root") && chdir("/")) {
		goto failed;
	}
	if (strchr(plan.arguments[0], '/'))
		execve(plan.arguments[0], plan.arguments, plan.variables);
	else
		execute_from_path();
failed:
	plan.failure = errno;
	_exit(127);
}

static int spawn(void)
{
	static uint8_t stack[CHILD_STACK] __attribute__((aligned(16)));
	plan.failure = 0;
	int pid = clone(child_main, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, 0);
	if (pid < 0)
		return -errno;
	if (!plan.failure)
		return pid;
	waitpid(pid, 0, 0);
	return -plan.failure;
}

static int name_length(const char *variable)
{
	return strchrnul(variable, '=') - variable;
}

/* Fills the plan from the request's strings. Returns an errno. */
static int read_request(uint8_t *body, uint32_t length)
{
	if (length < sizeof plan.request + 1 || body[length - 1])
		return EINVAL;
	memcpy(&plan.request, body, sizeof plan.request);
	char *next = (char *)body + sizeof plan.request, *end = (char *)body + length;
	uint32_t arguments = plan.request.argument_count, variables = plan.request.variable_count;
	if (!arguments || arguments > MAX_STRINGS || variables > MAX_STRINGS)
		return EINVAL;
	plan.directory = next;
	next += strlen(next) + 1;
	for (uint32_t i = 0; i < arguments; i++, next += strlen(next) + 1) {
		if (next >= end)
			return EINVAL;
		plan.arguments[i] = next;
	}
	plan.arguments[arguments] = 0;
	for (uint32_t i = 0; i < variables; i++, next += strlen(next) + 1) {
		if (next >= end)
			return EINVAL;
		plan.variables[i] = next;
	}
	for (uint32_t i = 0, given = variables; i < DEFAULT_VARIABLES; i++) {
		int size = name_length(default_variables[i]) + 1, present = 0;
		for (uint32_t j = 0; j < given; j++)
			present |= !strncmp(plan.variables[j], default_variables[i], size);
		if (!present)
			plan.variables[variables++] = default_variables[i];
	}
	plan.variables[variables] = 0;
	return plan.arguments[0][0] ? 0 : ENOENT;
}

static int open_terminal(struct channel *channel)
{
	int unlocked = 0, master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (master < 0)
		return errno;
	channel->is_pty = 1;
	channel->input = channel->output = master;
	if (ioctl(master, TIOCSPTLCK, &unlocked))
		return errno;
	int slave = ioctl(master, IOCTL_TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return errno;
	plan.input = plan.output = plan.error = slave;
	/* Its user must be able to open it again: /dev/tty, /dev/stderr. */
	if (plan.request.uid && fchown(slave, plan.request.uid, TTY_GROUP))
		return errno;
	struct winsize size = { plan.request.rows, plan.request.columns, 0, 0 };
	ioctl(master, TIOCSWINSZ, &size);
	return 0;
}

/*
 * A pipe to the child with a relay on our side of it. `ours` is what we read or write, without blocking; `theirs` is what the
 * child gets.
 */
static int open_relayed_pipe(int to_child, int *ours, int *theirs)
{
	int near[2] = { -1, -1 }, far[2] = { -1, -1 };
	if (pipe2(near, O_CLOEXEC) || pipe2(far, O_CLOEXEC))
		goto failed;
	int error = to_child ? start_relay(near[0], far[1]) : start_relay(far[0], near[1]);
	if (error) {
		errno = error;
		goto failed;
	}
	*ours = to_child ? near[1] : near[0];
	*theirs = to_child ? far[0] : far[1];
	fcntl(*ours, F_SETFL, O_NONBLOCK);
	return 0;
failed:
	error = errno;
	for (int i = 0; i < 2; i++) {
		close_fd(&near[i]);
		close_fd(&far[i]);
	}
	return error;
}

static int open_pipes(struct channel *channel)
{
	int error, merge = plan.request.flags & EXEC_MERGE;
	if (plan.request.flags & EXEC_STDIN) {
		if ((error = open_relayed_pipe(1, &channel->input, &plan.input)))
			return error;
	} else if ((plan.input = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
		return errno;
	}
	if ((error = open_relayed_pipe(0, &channel->output, &plan.output)))
		return error;
	if (merge)
		plan.error = plan.output;
	else if ((error = open_relayed_pipe(0, &channel->error, &plan.error)))
		return error;
	return 0;
}

static void close_child_side(void)
{
	int shared = plan.error == plan.output, terminal = plan.input == plan.output;
	if (!terminal)
		close_fd(&plan.input);
	if (!shared)
		close_fd(&plan.error);
	close_fd(&plan.output);
	plan.input = plan.error = -1;
}

static void start(uint32_t id, uint8_t *body, uint32_t length)
{
	int error = read_request(body, length);
	if (error) {
		send_reply(id, error, 0);
		return;
	}
	struct channel *channel = new_channel(id, CHANNEL_EXEC);
	if (!channel) {
		send_reply(id, EMFILE, 0);
		return;
	}
	channel->credit = plan.request.credit;
	plan.input = plan.output = plan.error = -1;
	error = plan.request.flags & EXEC_PTY ? open_terminal(channel) : open_pipes(channel);
	if (!error) {
		int pid = spawn();
		if (pid > 0)
			channel->pid = pid;
		else
			error = -pid;
	}
	close_child_side();
	if (error) {
		free_channel(channel);
		send_reply(id, error, 0);
		return;
	}
	if (plan.request.timeout_ms)
		channel->deadline_ms = now_ms() + plan.request.timeout_ms;
	int32_t pid = channel->pid;
	memcpy(payload, &pid, 4);
	send_frame(G_STARTED, 0, id, 4);
}

/* Adds a part of a long request; frees everything when it is refused. */
static int collect(struct channel *channel, const uint8_t *part, uint32_t length)
{
	uint8_t *body = channel->body_length + length <= MAX_EXEC_BODY ? realloc(channel->body, channel->body_length + length + 1) : 0;
	if (!body) {
		uint32_t id = channel->id;
		free_channel(channel);
		send_reply(id, E2BIG, 0);
		return 0;
	}
	memcpy(body + channel->body_length, part, length);
	channel->body = body;
	channel->body_length += length;
	return 1;
}

void exec_frame(const struct header *header, uint8_t *body)
{
	struct channel *channel = find_channel(header->channel);
	if (channel && channel->kind != CHANNEL_COLLECTING) {
		send_reply(header->channel, EBUSY, 0);
	} else if (header->flags & FLAG_MORE) {
		if (!channel && !(channel = new_channel(header->channel, CHANNEL_COLLECTING)))
			send_reply(header->channel, EMFILE, 0);
		else
			collect(channel, body, header->length);
	} else if (!channel) {
		start(header->channel, body, header->length);
	} else if (collect(channel, body, header->length)) {
		uint8_t *whole = channel->body;
		uint32_t length = channel->body_length;
		channel->body = 0;
		free_channel(channel);
		start(header->channel, whole, length);
		free(whole);
	}
}

void run_detached(const char *command)
{
	memset(&plan.request, 0, sizeof plan.request);
	plan.directory = "/";
	plan.arguments[0] = "/bin/sh";
	plan.arguments[1] = "-c";
	plan.arguments[2] = (char *)command;
	plan.arguments[3] = 0;
	memcpy(plan.variables, default_variables, sizeof default_variables);
	plan.variables[DEFAULT_VARIABLES] = 0;
	plan.input = plan.output = plan.error = open("/dev/null", O_RDWR | O_CLOEXEC);
	spawn();
	close_fd(&plan.output);
}

void reap_children(void)
{
	int status, pid;
	struct rusage usage;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		for (int i = 0; i < MAX_CHANNELS; i++) {
			struct channel *channel = &channels[i];
			if (channel->kind != CHANNEL_EXEC || channel->pid != pid || channel->reaped)
				continue;
			channel->reaped = 1;
			channel->status = status;
			channel->usage = usage;
		}
}

void kill_child(const struct channel *channel, int number)
{
	if (channel->kind != CHANNEL_EXEC || channel->pid <= 0 || channel->reaped)
		return;
	kill(-channel->pid, number);
	kill(channel->pid, number);
}

static uint32_t milliseconds(struct timeval time)
{
	return time.tv_sec * 1000 + time.tv_usec / 1000;
}

void end_exec_if_done(struct channel *channel)
{
	if (channel->kind != CHANNEL_EXEC || !channel->reaped)
		return;
	int held = channel->output >= 0 || channel->error >= 0;
	if (held) {
		if (!channel->credit) {
			channel->held_since_ms = 0;
			return;
		}
		if (!channel->held_since_ms)
			channel->held_since_ms = now_ms();
		if (now_ms() - channel->held_since_ms < HELD_OUTPUT_MS)
			return;
	}
	int32_t ending[4] = { WIFEXITED(channel->status) ? WEXITSTATUS(channel->status) : -1,
			      WIFSIGNALED(channel->status) ? WTERMSIG(channel->status) : 0,
			      milliseconds(channel->usage.ru_utime), milliseconds(channel->usage.ru_stime) };
	memcpy(payload, ending, sizeof ending);
	uint32_t id = channel->id, flags = (channel->timed_out ? EXIT_TIMED_OUT : 0) | (held ? EXIT_OUTPUT_HELD : 0);
	free_channel(channel);
	send_frame(G_EXIT, flags, id, sizeof ending);
}
