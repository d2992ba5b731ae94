#define _GNU_SOURCE
#include "worker.h"
#include "threads.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum stage { IDLE, GIVEN, ANSWERED };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;
static enum stage stage;
static char line[LONGEST_LINE], answer[LONGEST_ANSWER];
static size_t answer_length;

static int ended = -1; /* an eventfd, written when a command has ended */

int worker_signal(void) { return ended; }

int worker_is_idle(void) {
    pthread_mutex_lock(&mutex);
    int idle = stage == IDLE;
    pthread_mutex_unlock(&mutex);
    return idle;
}

void worker_run(const char *text) {
    pthread_mutex_lock(&mutex);
    strcpy(line, text);
    stage = GIVEN;
    pthread_cond_signal(&given);
    pthread_mutex_unlock(&mutex);
}

size_t worker_answer(char *text) {
    uint64_t count;
    size_t length = 0;
    if (read(ended, &count, sizeof count) < 0) return 0;
    pthread_mutex_lock(&mutex);
    if (stage == ANSWERED) {
        memcpy(text, answer, length = answer_length);
        stage = IDLE;
    }
    pthread_mutex_unlock(&mutex);
    return length;
}

static void await_line(char *copy) {
    pthread_mutex_lock(&mutex);
    while (stage != GIVEN) pthread_cond_wait(&given, &mutex);
    strcpy(copy, line);
    pthread_mutex_unlock(&mutex);
}

static void put_answer(const char *text, size_t length) {
    static const uint64_t one = 1;
    pthread_mutex_lock(&mutex);
    memcpy(answer, text, answer_length = length);
    stage = ANSWERED;
    pthread_mutex_unlock(&mutex);
    if (write(ended, &one, sizeof one) < 0) return; /* it is readable already */
}

static void *work(void *nothing) {
    static char command[LONGEST_LINE], text[LONGEST_ANSWER];
    thread_name("torpor-worker");
    command_thread_begin();
    for (;;) {
        await_line(command);
        put_answer(text, command_run(command, text, sizeof text));
    }
    return nothing;
}

int worker_begin(void) {
    ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ended >= 0 && thread_start(work, NULL)) return 1;
    if (ended >= 0) close(ended);
    ended = -1;
    return 0;
}

/* The thread is the parent's. */
void worker_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_cond_t nobody_waits = PTHREAD_COND_INITIALIZER;
    if (ended >= 0) close(ended);
    ended = -1;
    mutex = unlocked;
    given = nobody_waits;
    stage = IDLE;
}
