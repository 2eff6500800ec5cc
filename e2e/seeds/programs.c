/* What W5 asks of the machine: self-modifying code, threads, many processes, and every kind of IPC. Each part prints one line, or the program fails. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) do { if (!(condition)) { perror(#condition); exit(1); } } while (0)

static void self_modifying_code(void) {
  unsigned char *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(code != MAP_FAILED);
  memcpy(code, "\xb8\0\0\0\0\xc3", 6); /* mov eax, imm32; ret */
  int (*function)(void) = (int (*)(void))code;
  for (int i = 0; i < 20000; i++) {
    memcpy(code + 1, &i, 4);
    CHECK(function() == i);
  }
  puts("self-modifying code ok");
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int counter, turn;

static void *count_in_turns(void *argument) {
  int me = (int)(long)argument;
  for (int round = 0; round < 100; round++) {
    pthread_mutex_lock(&mutex);
    while (turn != me) pthread_cond_wait(&turn_changed, &mutex);
    counter++;
    turn = (turn + 1) % 8;
    pthread_cond_broadcast(&turn_changed);
    pthread_mutex_unlock(&mutex);
  }
  return 0;
}

static void threads(void) {
  pthread_t ids[8];
  for (long i = 0; i < 8; i++) CHECK(!pthread_create(&ids[i], 0, count_in_turns, (void *)i));
  for (int i = 0; i < 8; i++) pthread_join(ids[i], 0);
  CHECK(counter == 800);
  puts("threads ok");
}

static void many_processes(void) {
  int fds[2], sum = 0;
  CHECK(!pipe(fds));
  for (int i = 1; i <= 200; i++) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) _exit(write(fds[1], &i, sizeof i) == sizeof i ? 0 : 1);
  }
  for (int i = 0, value; i < 200; i++) {
    CHECK(read(fds[0], &value, sizeof value) == sizeof value);
    sum += value;
  }
  for (int status; wait(&status) > 0;) CHECK(status == 0);
  CHECK(sum == 200 * 201 / 2);
  puts("many processes ok");
}

static void ipc(void) {
  int shm = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), sem = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600), pair[2];
  CHECK(shm >= 0 && sem >= 0 && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  int *shared = shmat(shm, 0, 0);
  CHECK(shared != (void *)-1);
  struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 16};
  mqd_t queue = mq_open("/corral", O_CREAT | O_RDWR, 0600, &attributes);
  CHECK(queue != (mqd_t)-1);
  if (fork() == 0) {
    char text[16] = {0};
    *shared = 4242;
    struct sembuf up = {0, 1, 0};
    CHECK(!semop(sem, &up, 1));
    CHECK(read(pair[1], text, 4) == 4 && !strcmp(text, "ping"));
    CHECK(!mq_send(queue, "pong", 5, 1));
    _exit(0);
  }
  struct sembuf down = {0, -1, 0};
  char text[16];
  CHECK(!semop(sem, &down, 1) && *shared == 4242);
  CHECK(write(pair[0], "ping", 4) == 4);
  CHECK(mq_receive(queue, text, sizeof text, 0) == 5 && !strcmp(text, "pong"));
  int status;
  CHECK(wait(&status) > 0 && status == 0);
  shmctl(shm, IPC_RMID, 0);
  semctl(sem, 0, IPC_RMID);
  mq_unlink("/corral");
  puts("ipc ok");
}

int main(void) {
  setvbuf(stdout, 0, _IOLBF, 0);
  self_modifying_code();
  threads();
  many_processes();
  ipc();
  return 0;
}
