#define _GNU_SOURCE
#include "command.h"
#include "driver.h"
#include "park.h"
#include "torpor.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t usual_timeout_ms = 10000, longest_timeout_ms = 3600000;

/* What this thread asks the driver concerns nobody's capture. */
void command_thread_begin(void) {
    CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
    if (driver()->complete) driver()->cuThreadExchangeStreamCaptureMode(&relaxed);
}

static void refuse(struct answer *answer, const char *code, const char *why, const char *what) {
    answer->error = code;
    snprintf(answer->text, sizeof answer->text, "%s%.200s%s", why, what, *what ? "." : "");
}

static int take_timeout(const char *text, uint64_t *milliseconds) {
    char *end;
    errno = 0;
    *milliseconds = strtoull(text, &end, 10);
    return isdigit((unsigned char)*text) && !errno && !*end && *milliseconds <= longest_timeout_ms;
}

struct request { uint64_t timeout, lease; int timed, leased, synced, force; enum keeping keeping; const char *folder, *by; };

static int is_controller_name(const char *name) {
    size_t length = 0;
    while (isalnum((unsigned char)name[length]) || (name[length] && strchr("-_", name[length]))) length++;
    return length && length < CONTROLLER_NAME && !name[length];
}

/* One word of a command, or the rest of the line, as a path may hold blanks. 0: it is none that is known. */
static int take_word(char **arguments, struct request *request, struct answer *answer) {
    static const char lease_is[] = "lease-ms=", arena_is[] = "arena=", timeout_is[] = "timeout-ms=", by_is[] = "by=";
    if (!strncmp(*arguments, arena_is, sizeof arena_is - 1)) {
        request->folder = *arguments + sizeof arena_is - 1;
        *arguments = NULL;
        if (*request->folder == '/' && strlen(request->folder) < PATH_MAX) return 1;
        return refuse(answer, "argument", "arena wants an absolute path, not ", request->folder), 0;
    }
    char *word = strsep(arguments, " ");
    if (!*word) return 1;
    if (!strcmp(word, "keep=0")) return request->keeping = REMOVE_FILES, 1;
    if (!strcmp(word, "keep=1")) return request->keeping = KEEP_FILES, 1;
    if (!strcmp(word, "sync=0") || !strcmp(word, "sync=1")) return request->synced = word[5] == '1' ? 1 : -1;
    if (!strcmp(word, "force=1")) return request->force = 1;
    if (!strncmp(word, by_is, sizeof by_is - 1)) {
        request->by = word + sizeof by_is - 1;
        if (is_controller_name(request->by)) return 1;
        return refuse(answer, "argument", "by wants 1 to 64 letters, digits, - or _, not ", request->by), 0;
    }
    if (!strncmp(word, lease_is, sizeof lease_is - 1)) {
        if (take_timeout(word + sizeof lease_is - 1, &request->lease)) return request->leased = 1;
        return refuse(answer, "argument", "lease-ms wants a number from 0 to 3600000, not ", word + sizeof lease_is - 1), 0;
    }
    if (strncmp(word, timeout_is, sizeof timeout_is - 1)) return refuse(answer, "argument", "park takes timeout-ms=N, lease-ms=N, sync=0 or 1, keep=0 or 1, by=NAME and arena=FOLDER, unpark keep=0 or 1, by=NAME, force=1 and arena=FOLDER, and neither ", word), 0;
    if (take_timeout(word + sizeof timeout_is - 1, &request->timeout)) return request->timed = 1;
    return refuse(answer, "argument", "timeout-ms wants a number from 0 to 3600000, not ", word + sizeof timeout_is - 1), 0;
}

static int take_words(char *arguments, struct request *request, struct answer *answer) {
    while (arguments && *arguments)
        if (!take_word(&arguments, request, answer)) return 0;
    return 1;
}

static void park(char *arguments, struct answer *answer) {
    struct request request = {.timeout = usual_timeout_ms};
    if (!take_words(arguments, &request, answer)) return;
    if (request.force) return refuse(answer, "argument", "park takes no force=1.", "");
    if (request.keeping == KEEP_FILES && !request.folder) return refuse(answer, "argument", "keep=1 keeps files: name a folder for them with arena=FOLDER.", "");
    if (request.synced == 1 && !request.folder) return refuse(answer, "argument", "sync=1 writes files to their disk: name a folder for them with arena=FOLDER.", "");
    struct park_options options = {.timeout_ms = request.timeout, .folder = request.folder, .keep = request.keeping == KEEP_FILES, .synced = request.synced == 1, .by = request.by, .lease_ms = request.lease};
    park_park(&options, answer);
}

static void unpark(char *arguments, struct answer *answer) {
    struct request request = {0};
    if (!take_words(arguments, &request, answer)) return;
    if (request.timed || request.leased || request.synced) return refuse(answer, "argument", "unpark takes keep=0 or 1, by=NAME, force=1 and arena=FOLDER alone.", "");
    park_unpark(request.folder, request.keeping, request.by, request.force, answer);
}

static void lease(char *arguments, struct answer *answer) {
    struct request request = {0};
    if (!take_words(arguments, &request, answer)) return;
    if (request.timed || request.synced || request.force || request.keeping || request.folder || request.by) return refuse(answer, "argument", "lease takes lease-ms=N alone.", "");
    park_renew_lease(request.leased ? &request.lease : NULL, answer);
}

static int pending; /* of the thread that runs questions */

void command_set_pending(int count) { pending = count; }

static void status(struct answer *answer) { park_status(pending, answer); }

static void run(const char *name, char *arguments, struct answer *answer) {
    static const struct { const char *name; void (*run)(struct answer *answer); } plain[] = {
        {"status", status}, {"prepare", park_prepare}, {"release", park_release},
    };
    if (!strcmp(name, "park")) return park(arguments, answer);
    if (!strcmp(name, "unpark")) return unpark(arguments, answer);
    if (!strcmp(name, "lease")) return lease(arguments, answer);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (!strcmp(name, plain[i].name)) return arguments ? refuse(answer, "argument", name, " takes no arguments") : plain[i].run(answer);
    refuse(answer, "unknown", "the commands are status, prepare, park, lease, unpark, release and stats, not ", name);
}

/* The length of the first word. */
static size_t name_length(const char *line) { return strcspn(line, " \r"); }

int command_can_be_called_off(const char *line) { return name_length(line) == 4 && !memcmp(line, "park", 4); }

int command_is_question(const char *line) {
    static const char *const long_ones[] = {"park", "unpark", "prepare", "release"};
    size_t length = name_length(line);
    for (size_t i = 0; i < sizeof long_ones / sizeof long_ones[0]; i++)
        if (strlen(long_ones[i]) == length && !memcmp(line, long_ones[i], length)) return 0;
    return 1;
}

static size_t answer_text(char *line, char *text, size_t room) {
    struct answer answer = {0};
    char *name = strsep(&line, " ");
    size_t length = strlen(name);
    if (length && name[length - 1] == '\r') name[length - 1] = 0;
    if (!strcmp(name, "stats")) {
        memcpy(text, "ok ", 3);
        length = 3 + torpor_statistics(text + 3, room - 3);
        return length < room ? length : room - 1;
    }
    run(name, line, &answer);
    length = (size_t)(answer.error ? snprintf(text, room, "error %s %s", answer.error, answer.text) : snprintf(text, room, "ok %s", answer.text));
    if (length >= room) length = room - 1;
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)text[i])) text[i] = '?';
    return length;
}

size_t command_run(char *line, char *text, size_t room) {
    size_t length = answer_text(line, text, room - 1);
    text[length++] = '\n';
    return length;
}
